import assert from "node:assert/strict";
import { annotationsOf, type CallableAction, nameActions } from "./actions.ts";

const action = (over: Partial<CallableAction> = {}): CallableAction => ({
  action_id: "0",
  action: "chat.postMessage",
  name: "Send a message",
  method: "POST",
  is_read_only: false,
  is_idempotent: false,
  integration: "slack",
  integration_name: "Slack",
  connection_id: "c1",
  connection_name: "Team",
  account: null,
  ...over,
});

const names = (actions: CallableAction[]) => [...nameActions(actions).keys()];

Deno.test("the oldest connection has the plain name, the others their own", () => {
  const other = { connection_id: "c2", connection_name: "Sales & Support" };
  assert.deepEqual(names([action(), action(other), action({ integration: "slack-eu" })]), [
    "slack__chat_postMessage",
    "slack_Sales_Support__chat_postMessage",
    "slack-eu__chat_postMessage",
  ]);
});

Deno.test("names are safe, unique, short and the same each time", () => {
  const actions = [
    action({ action: "files.list" }),
    action({ action: "files_list" }),
    action({ connection_id: "c2", connection_name: "ü/\u{1F600}", action: "files.list" }),
    action({ connection_id: "c3", connection_name: "日本", action: "files.list" }),
    action({ integration: "i".repeat(70), action: "a".repeat(70) }),
    action({ integration: "i".repeat(70), action: "a".repeat(71) }),
  ];
  const first = names(actions);
  assert.equal(first.length, actions.length);
  for (const name of first) assert.match(name, /^[A-Za-z0-9_-]{1,64}$/);
  assert.deepEqual(names(actions), first);
});

Deno.test("hints follow what the catalogue says of an action", () => {
  const hints = (over: Partial<CallableAction>) => {
    const { readOnlyHint, destructiveHint, idempotentHint } = annotationsOf(action(over));
    return [readOnlyHint, destructiveHint, idempotentHint];
  };
  assert.deepEqual(hints({ is_read_only: true, action: "files.listDeleted" }), [true, false, true]);
  assert.deepEqual(hints({}), [false, false, false]);
  assert.deepEqual(hints({ action: "chat.delete" }), [false, true, false]);
  assert.deepEqual(hints({ method: "PUT", is_idempotent: true }), [false, true, true]);
  assert.deepEqual(hints({ method: "DELETE", action: "x" }), [false, true, false]);
});
