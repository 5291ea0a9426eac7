import { createHash } from "node:crypto";
import type { Context } from "hono";
import { z } from "zod";
import { isLoopback } from "../../core/pushes.ts";
import type { Sandbox } from "../../core/provider.ts";
import { GoogleError } from "./errors.ts";
import { readBody } from "./requests.ts";

/** The body of a `watch` request; further properties are ignored. */
const ChannelRequest = z.object({
  id: z.string().max(64).optional(),
  type: z.string().optional(),
  address: z.string().optional(),
  token: z.string().max(256).optional(),
  expiration: z.union([z.string().regex(/^\d+$/), z.int()]).optional(),
  params: z.record(z.string(), z.string()).optional(),
});

const StopRequest = z.object({ id: z.string(), resourceId: z.string() }).partial();

/** What a channel watches. */
export interface WatchedResource {
  /** Names the resource within the sandbox; equal keys have equal resource ids. */
  key: string;
  /** As Google writes it into `X-Goog-Resource-URI`. */
  uri: string;
  /** How long a channel lives when nothing was asked, and at most, in milliseconds. */
  usualMs: number;
  longestMs: number;
}

/** A channel as an assertion sees it. */
export interface GoogleChannelInfo {
  id: string;
  resource_id: string;
  resource_uri: string;
  address: string;
  /** ISO time. */
  expires_at: string;
  /** Number of the last message, `sync` included. */
  message_number: number;
}

/** A change that channels are told about. */
export interface ChannelMessage {
  /** `X-Goog-Resource-State`: `change`, `update`, `trash`, `exists`, … */
  state: string;
  /** `X-Goog-Changed`: `content`, `properties`, `parents`, … */
  changed?: readonly string[];
  body?: string;
}

interface Channel {
  id: string;
  token: string | undefined;
  address: string;
  resource: WatchedResource;
  resourceId: string;
  expiresAt: number;
  messages: number;
}

/** 0: nobody answered. */
const RETRIED = new Set([0, 500, 502, 503, 504]);

/**
 * Notification channels as Drive and Calendar have them: a `sync` message first, then one request
 * without content for each change, retried after 500, 502, 503 and 504.
 *
 * Google insists on https; the sandbox takes http as well, but only to this machine.
 *
 * @see https://developers.google.com/workspace/drive/api/guides/push
 */
export class GoogleChannels {
  #channels = new Map<string, Channel>();

  constructor(readonly sandbox: Sandbox) {}

  /**
   * Opens a channel and sends its `sync` message, which may arrive before the answer does.
   *
   * @param c the request whose body describes the channel
   * @returns the channel as the answer describes it
   * @throws GoogleError
   */
  async open(c: Context, resource: WatchedResource): Promise<Record<string, unknown>> {
    const wanted = await readRequest(c);
    const { clock, pushes } = this.sandbox;
    const now = clock.now();
    const known = this.#channels.get(wanted.id);
    if (known && known.expiresAt > now) {
      throw new GoogleError("channelIdNotUnique", `Channel id ${wanted.id} not unique`, {
        location: "id",
        locationType: "parameter",
      });
    }
    const ttl = wanted.params?.ttl;
    const asked = wanted.expiration !== undefined
      ? Number(wanted.expiration)
      : now + (ttl === undefined ? resource.usualMs : Number(ttl) * 1000);
    if (!(asked > now)) {
      throw new GoogleError("invalid", `Invalid channel expiration: ${asked}`, {
        location: "expiration",
        locationType: "parameter",
      });
    }
    const channel: Channel = {
      id: wanted.id,
      token: wanted.token,
      address: wanted.address,
      resource,
      resourceId: resourceId(resource.key),
      // Google gives whole seconds.
      expiresAt: Math.floor(Math.min(asked, now + resource.longestMs) / 1000) * 1000,
      messages: 0,
    };
    this.#channels.set(channel.id, channel);
    const synced = this.#send(channel, { state: "sync" });
    if (pushes.settings("google").syncBeforeAnswer) await synced;
    return {
      kind: "api#channel",
      id: channel.id,
      resourceId: channel.resourceId,
      resourceUri: resource.uri,
      token: channel.token,
      expiration: String(channel.expiresAt),
    };
  }

  /** Closes a channel. @throws GoogleError `notFound` when there is none that lives */
  async stop(c: Context): Promise<void> {
    const { id, resourceId } = await readBody(c, StopRequest);
    if (!id) throw required("entity.resource.id");
    if (!resourceId) throw required("entity.resource.resourceId");
    const channel = this.#channels.get(id);
    const lives = channel && channel.expiresAt > this.sandbox.clock.now();
    if (!lives || channel.resourceId !== resourceId) {
      throw new GoogleError("notFound", `Channel '${id}' not found for project '${PROJECT}'`);
    }
    this.#channels.delete(id);
  }

  /** Tells every living channel of a resource; returns at once. */
  notify(key: string, message: ChannelMessage): void {
    const now = this.sandbox.clock.now();
    for (const channel of this.#channels.values()) {
      if (channel.resource.key !== key || channel.expiresAt <= now) continue;
      void this.#send(channel, message);
    }
  }

  /** The channels that live. */
  list(): GoogleChannelInfo[] {
    const now = this.sandbox.clock.now();
    return [...this.#channels.values()].filter(({ expiresAt }) => expiresAt > now)
      .map((channel) => ({
        id: channel.id,
        resource_id: channel.resourceId,
        resource_uri: channel.resource.uri,
        address: channel.address,
        expires_at: new Date(channel.expiresAt).toISOString(),
        message_number: channel.messages,
      }));
  }

  reset(): void {
    this.#channels.clear();
  }

  async #send(channel: Channel, { state, changed, body = "" }: ChannelMessage): Promise<void> {
    channel.messages++;
    await this.sandbox.pushes.send({
      provider: "google",
      url: channel.address,
      headers: {
        "content-type": "application/json; charset=UTF-8",
        "user-agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        "x-goog-channel-id": channel.id,
        "x-goog-channel-expiration": new Date(channel.expiresAt).toUTCString(),
        "x-goog-resource-state": state,
        "x-goog-message-number": String(channel.messages),
        "x-goog-resource-id": channel.resourceId,
        "x-goog-resource-uri": channel.resource.uri,
        ...(channel.token === undefined ? {} : { "x-goog-channel-token": channel.token }),
        ...(changed?.length ? { "x-goog-changed": changed.join(",") } : {}),
      },
      body,
      retryOn: (status) => RETRIED.has(status),
    });
  }
}

const PROJECT = "000000000000";

/** The parts of a `watch` request that must be there. */
type Wanted = z.infer<typeof ChannelRequest> & { id: string; address: string };

async function readRequest(c: Context): Promise<Wanted> {
  const wanted = await readBody(c, ChannelRequest);
  const { id, type, address } = wanted;
  if (!id) throw required("entity.resource.id");
  if (type !== "web_hook" && type !== "webhook") {
    throw new GoogleError("channelUnknownType", `Unknown channel type: ${type ?? ""}`);
  }
  if (!address) throw required("entity.resource.address");
  if (!URL.canParse(address)) {
    throw new GoogleError("channelInvalidAddress", `Invalid WebHook address: ${address}`);
  }
  if (!isLoopback(address)) {
    const message = `Unauthorized WebHook callback channel: ${address}`;
    throw new GoogleError("push.webhookUrlUnauthorized", message);
  }
  return { ...wanted, id, address };
}

function required(location: string): GoogleError {
  return new GoogleError("required", "Required", { location, locationType: "parameter" });
}

/** Opaque, and the same for each channel of a resource. */
function resourceId(key: string): string {
  return createHash("sha256").update(key).digest("base64url").slice(0, 27);
}
