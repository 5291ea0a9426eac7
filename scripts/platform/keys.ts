/**
 * The local stack's fixed, public development keys: the same that `supabase start` hands out.
 * They open nothing but a stack on this machine's loopback address.
 * @module
 */

/** Client key (`apikey` header): requests run as `anon` or as the user of their JWT. */
export const PUBLISHABLE_KEY = "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH";
/** Server key: requests run as `service_role`. */
export const SECRET_KEY = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz";
/** HS256 secret of the user tokens that Auth issues. */
export const JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long";
