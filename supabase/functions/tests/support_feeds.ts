/** For tests of feeds: providers of their own, accounts to follow, and marketplace-maintain on demand. */
import type postgres from "postgres";
import { SandboxClient } from "../../../scripts/sandbox/client.ts";
import {
  GITHUB_TOKEN,
  GOOGLE_CREDENTIALS,
  type RunningSandbox,
  S3_CREDENTIALS,
  startSandbox,
} from "../../../scripts/sandbox/mod.ts";
import { FUNCTIONS_URL, until } from "./support_queue.ts";

const RUN = crypto.randomUUID().slice(0, 8);
let accounts = 0;

/** An event as tests look at it. */
export interface StoredEvent {
  event_type: string;
  resource_path: string;
  account: string | null;
  dedupe_key: string;
  correlation_id: string;
  // deno-lint-ignore no-explicit-any
  payload: any;
}

/** An integration that is followed. */
export interface Account {
  id: string;
  slug: string;
}

/** A sandbox of its own, so that its clock, faults and journal are this file's. */
export class Feeds {
  readonly client: SandboxClient;
  #ringKey = "";

  private constructor(readonly sql: postgres.Sql, readonly sandbox: RunningSandbox) {
    this.client = new SandboxClient(sandbox.url);
  }

  static start(sql: postgres.Sql): Feeds {
    return new Feeds(sql, startSandbox({ port: 0, s3Port: 0 }));
  }

  /** Removes what was followed, and stops the sandbox. */
  async stop(): Promise<void> {
    await this.reset();
    await this.sandbox.stop();
  }

  /** Removes what was followed, and empties the sandbox: each test begins anew. */
  async reset(): Promise<void> {
    const mine = `feeds-test-${RUN}-%`;
    await this.sql`
      delete from marketplace.sync_rules as r using marketplace.integrations as i
      where i.id = r.source_integration_id and i.slug like ${mine}
    `;
    await this.sql`delete from marketplace.integrations where slug like ${mine}`;
    await this.client.reset();
  }

  /** Registers an integration of the sandbox's provider. */
  async account(provider: string, config: Record<string, unknown> = {}): Promise<Account> {
    const slug = `feeds-test-${RUN}-${++accounts}`;
    const { url } = this.sandbox;
    const bases: Record<string, string> = {
      google_drive: `${url}/google/drive/v3`,
      google_docs: `${url}/google/docs/v1`,
      google_sheets: `${url}/google/sheets/v4`,
      google_calendar: `${url}/google/calendar/v3`,
      gmail: `${url}/google/gmail/v1`,
      github: `${url}/github`,
      aws_s3: this.sandbox.s3Url,
    };
    const settings = {
      api_base: bases[provider],
      drive_api_base: `${url}/google/drive/v3`,
      sns_api_base: `${url}/sns`,
      allow_private_network: true,
      ...config,
    };
    const [row] = await this.sql`
      select marketplace.register_integration(
        ${slug}, 'Feeds test', ${provider}, 'storage', ${JSON.stringify(settings)}::text::jsonb
      ) as id
    `;
    const secrets = provider === "aws_s3"
      ? {
        access_key_id: S3_CREDENTIALS.accessKeyId,
        secret_access_key: S3_CREDENTIALS.secretAccessKey,
      }
      : { api_token: provider === "github" ? GITHUB_TOKEN : GOOGLE_CREDENTIALS.accessToken };
    for (const [purpose, secret] of Object.entries(secrets)) {
      await this.sql`select marketplace.set_integration_secret(${slug}, ${purpose}, ${secret})`;
    }
    return { id: row!.id, slug };
  }

  /** Follows an account, and waits until its feed is begun and its channel open. */
  async watch({ slug }: Account, scope = ""): Promise<string> {
    const [row] = await this.sql`select marketplace.watch(${slug}, null, ${scope}) as id`;
    await until(async () => {
      const [cursor] = await this.sql`
        select c.status, c.error_message, w.status as channel, c.channel_error
        from marketplace.sync_cursors as c
        left join marketplace.watch_channels as w on w.cursor_id = c.id and w.status = 'active'
        where c.id = ${
        row!.id
      } and c.status = 'active' and c.due_at > now() and w.status is not null
      `;
      return cursor;
    }, `the feed of ${slug}`);
    return row!.id;
  }

  /** One run of marketplace-maintain, to its end: it stays for two seconds after a pull. */
  async maintain(): Promise<Record<string, number>> {
    return await this.#maintain("?wait=true");
  }

  /** Has marketplace-maintain look, and does not wait for it. */
  async ring(): Promise<void> {
    await this.#maintain("");
  }

  async #maintain(query: string): Promise<Record<string, number>> {
    if (!this.#ringKey) {
      const [row] = await this.sql`select marketplace.dispatch_settings() as settings`;
      this.#ringKey = row!.settings.ring_key;
    }
    const response = await fetch(`${FUNCTIONS_URL}/marketplace-maintain${query}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.#ringKey}` },
    });
    return await response.json();
  }

  /** Makes a cursor due now, as reconciliation does when its time has come. */
  async makeDue(cursorId: string): Promise<void> {
    await this.sql`
      update marketplace.sync_cursors set due_at = now(), not_before = '-infinity' where id = ${cursorId}
    `;
  }

  /** Ends the breath of two seconds after a pull, where that alone holds the next one back. */
  async #hurry(where: { cursorId: string } | { integrationId: string }): Promise<void> {
    const cursors = await this.sql`
      update marketplace.sync_cursors set due_at = now(), not_before = '-infinity'
      where lease_id is null and status = 'active' and due_at <= not_before and not_before > now()
        and ${
      "cursorId" in where
        ? this.sql`id = ${where.cursorId}`
        : this.sql`integration_id = ${where.integrationId}`
    }
      returning id
    `;
    if (cursors.length > 0) await this.ring();
  }

  /** Waits until nobody pulls it and nothing is due; the next push is heard at once. */
  async settled(cursorId: string): Promise<void> {
    await until(
      async () => {
        await this.#hurry({ cursorId });
        const [cursor] = await this.sql`
          update marketplace.sync_cursors set not_before = '-infinity'
          where id = ${cursorId} and lease_id is null and due_at > now() + interval '1 minute'
          returning id
        `;
        return cursor;
      },
      "the cursor to be pulled",
      20_000,
    );
  }

  async cursor(cursorId: string): Promise<postgres.Row> {
    const [row] = await this.sql`select * from marketplace.sync_cursors where id = ${cursorId}`;
    return row!;
  }

  /** Events of an account, oldest first. */
  async events({ id }: Account): Promise<StoredEvent[]> {
    const rows = await this.sql<StoredEvent[]>`
      select event_type, resource_path, account, dedupe_key, correlation_id, payload
      from marketplace.webhook_events where integration_id = ${id} order by created_at, id
    `;
    return [...rows];
  }

  /** Waits for so many events. @param isPatient leaves the product its own time between pulls */
  async received(
    account: Account,
    count: number,
    isPatient = false,
  ): Promise<StoredEvent[]> {
    return await until(
      async () => {
        const events = await this.events(account);
        if (events.length >= count) return events;
        if (!isPatient) await this.#hurry({ integrationId: account.id });
      },
      `${count} events of ${account.slug}`,
      20_000,
    );
  }

  /** How often the provider was called at a path since a point of its journal. */
  async calls(path: string, after = 0): Promise<number> {
    return (await this.client.journal({ path, after })).length;
  }

  /** The journal's last number. */
  async journalEnd(): Promise<number> {
    return (await this.client.journal()).at(-1)?.seq ?? 0;
  }
}
