/**
 * A process of its own that runs one execution, to be killed in the middle of it.
 *
 * Argument: the `ExecuteInput`, as JSON. Prints the answer as a JSON line.
 */
import { closeDb, db } from "../_shared/db.ts";
import { execute } from "../_shared/execution/execute.ts";

const answer = await execute(db(), JSON.parse(Deno.args[0]!));
console.log(JSON.stringify(answer.kind === "json" ? answer.body : answer.kind));
await closeDb();
