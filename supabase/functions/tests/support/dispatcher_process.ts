/**
 * One more dispatcher, in a process of its own, with the environment of a function: drains for as
 * long as standard input is open, and prints what each drain did.
 */
import { app } from "../../marketplace-dispatch/app.ts";

const authorization = `Bearer ${Deno.env.get("SUPABASE_SECRET_KEY")}`;
let isAsked = true;
void (async () => {
  for await (const _ of Deno.stdin.readable) { /* nothing is sent */ }
  isAsked = false;
})();

console.log("ready");
while (isAsked) {
  const response = await app.request("/marketplace-dispatch?wait=true", {
    method: "POST",
    headers: { authorization },
  });
  console.log(JSON.stringify(await response.json()));
  if (!response.ok) await new Promise((resolve) => setTimeout(resolve, 200));
}
Deno.exit();
