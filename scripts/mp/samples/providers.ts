/**
 * What providers send, as small as they would be accepted: for deliveries one makes to try things out.
 * @module
 */

/** A delivery before it is signed. */
export interface Sample {
  /** A value that is sent as JSON; a `URLSearchParams` as a form; null as nothing. */
  body: unknown;
  headers?: Record<string, string>;
}

/** What samples are filled with. */
export interface SampleFacts {
  /** The event's name, as rules have it. */
  event: string;
  /** Different in each sample. */
  id: string;
  now: Date;
}

/** Samples of one provider. */
interface ProviderSamples {
  /** Names worth trying; the first is the default. */
  events: string[];
  make(facts: SampleFacts): Sample;
}

const seconds = (at: Date) => Math.floor(at.getTime() / 1000);
/** `issue` and `opened` of `issue.opened`; the rest stays together. */
const halves = (event: string) => {
  const [first = "", ...rest] = event.split(".");
  return [first, rest.join(".") || undefined] as const;
};

const google = (name: string, path: string): ProviderSamples => ({
  events: [`${name}.update`, `${name}.change`],
  make: ({ event, id, now }) => ({
    body: null,
    headers: {
      "x-goog-channel-id": `sample-${id}`,
      "x-goog-message-number": String(seconds(now)),
      "x-goog-resource-id": "sample-resource",
      "x-goog-resource-state": halves(event)[1] ?? "update",
      "x-goog-resource-uri": `https://www.googleapis.com/${path}?alt=json`,
    },
  }),
});

const typed: ProviderSamples = {
  events: ["sample.created"],
  make: ({ event, id, now }) => ({
    body: { type: event, timestamp: now.toISOString(), data: { id } },
    headers: { "x-delivery-id": id },
  }),
};

/** By provider; one that is not here gets {@link typed}. */
const PROVIDERS: Record<string, ProviderSamples> = {
  asana: {
    events: ["task.changed", "task.added"],
    make: ({ event, id, now }) => {
      const [type, action] = halves(event);
      const resource = { gid: id, resource_type: type };
      const user = { gid: "1201", resource_type: "user" };
      return { body: { events: [{ action, resource, user, created_at: now.toISOString() }] } };
    },
  },
  aws_s3: {
    events: ["s3.ObjectCreated:Put"],
    // As EventBridge sends it to an API destination; what SNS sends only Amazon can sign.
    make: ({ id, now }) => ({
      body: {
        id,
        source: "aws.s3",
        "detail-type": "Object Created",
        time: now.toISOString(),
        detail: {
          bucket: { name: "sample-bucket" },
          object: { key: "reports/sample.pdf", size: 1024 },
          reason: "PutObject",
        },
      },
    }),
  },
  bitbucket: {
    events: ["repo:push", "pullrequest:created"],
    make: ({ event, id, now }) => ({
      body: {
        repository: { full_name: "sample/repository" },
        ...(event.startsWith("pullrequest")
          ? { pullrequest: { id: 1, updated_on: now.toISOString() } }
          : { push: { changes: [{ new: { type: "branch", name: "main" } }] } }),
      },
      headers: { "x-event-key": event, "x-request-uuid": id },
    }),
  },
  calendly: {
    events: ["invitee.created", "invitee.canceled"],
    make: ({ event, id, now }) => ({
      body: {
        event,
        created_at: now.toISOString(),
        created_by: "https://api.calendly.com/users/SAMPLE",
        payload: { uri: `https://api.calendly.com/scheduled_events/SAMPLE/invitees/${id}` },
      },
    }),
  },
  cloudflare: {
    events: ["health_check_status_notification"],
    make: ({ event, id, now }) => ({
      body: { alert_type: event, account_id: "sample", ts: seconds(now), data: { id } },
    }),
  },
  dropbox: {
    events: ["files.changed"],
    make: () => ({ body: { list_folder: { accounts: ["dbid:SAMPLE"] } } }),
  },
  gitlab: {
    events: ["push", "tag_push", "merge_request.open", "issue.open", "pipeline.success"],
    make: ({ event, id, now }) => {
      const [kind, action] = halves(event);
      return {
        body: {
          object_kind: kind,
          ref: kind === "tag_push" ? "refs/tags/v1" : "refs/heads/main",
          project: { path_with_namespace: "sample/project" },
          object_attributes: {
            id: 1,
            iid: 1,
            updated_at: now.toISOString(),
            ...(kind === "pipeline" ? { status: action ?? "success" } : { action }),
          },
        },
        headers: { "x-gitlab-event": kind, "idempotency-key": id },
      };
    },
  },
  google_calendar: google("calendar", "calendar/v3/calendars/sample%40example.com/events"),
  google_docs: google("docs", "drive/v3/files/sample-document"),
  google_drive: google("drive", "drive/v3/files/sample-file"),
  google_sheets: google("sheets", "drive/v3/files/sample-sheet"),
  hubspot: {
    events: ["contact.creation", "deal.propertyChange"],
    make: ({ event, id, now }) => ({
      body: [{
        subscriptionType: event,
        portalId: 1,
        subscriptionId: 1,
        eventId: parseInt(id.slice(0, 8), 16),
        objectId: 1,
        occurredAt: now.getTime(),
      }],
    }),
  },
  intercom: {
    events: ["conversation.user.created", "contact.created"],
    make: ({ event, id, now }) => ({
      body: {
        type: "notification_event",
        id: `notif_${id}`,
        topic: event,
        app_id: "sample",
        created_at: seconds(now),
        data: { item: { type: event.split(".")[0], id } },
      },
    }),
  },
  jira: {
    events: ["jira:issue_created", "jira:issue_updated"],
    make: ({ event, id, now }) => ({
      body: {
        webhookEvent: event,
        timestamp: now.getTime(),
        issue: { key: "SAMPLE-1", fields: { project: { key: "SAMPLE" } } },
      },
      headers: { "x-atlassian-webhook-identifier": id },
    }),
  },
  linear: {
    events: ["Issue.create", "Issue.update", "Comment.create"],
    make: ({ event, id, now }) => {
      const [type, action] = halves(event);
      return {
        body: {
          type,
          action,
          organizationId: "sample",
          createdAt: now.toISOString(),
          webhookTimestamp: now.getTime(),
          data: { id, identifier: "SAM-1", title: "A sample" },
        },
        headers: { "linear-delivery": id, "linear-event": type },
      };
    },
  },
  meta: {
    events: ["page.feed", "instagram.comments"],
    make: ({ event, id, now }) => {
      const [object, field] = halves(event);
      return { body: { object, entry: [{ id, time: seconds(now), changes: [{ field }] }] } };
    },
  },
  notion: {
    events: ["page.created", "page.content_updated"],
    make: ({ event, id, now }) => ({
      body: {
        id,
        type: event,
        timestamp: now.toISOString(),
        workspace_id: "sample",
        entity: { id, type: event.split(".")[0] },
      },
    }),
  },
  pagerduty: {
    events: ["incident.triggered", "incident.resolved"],
    make: ({ event, id, now }) => ({
      body: {
        event: {
          id,
          event_type: event,
          resource_type: event.split(".")[0],
          occurred_at: now.toISOString(),
          data: { id: "PSAMPLE", service: { id: "SSAMPLE" } },
        },
      },
    }),
  },
  sentry: {
    events: ["issue.created", "issue.resolved"],
    make: ({ event, id, now }) => {
      const [resource, action] = halves(event);
      return {
        body: { action, installation: { uuid: "sample" }, data: { issue: { id: "1" } } },
        headers: {
          "sentry-hook-resource": resource,
          "sentry-hook-timestamp": String(seconds(now)),
          "request-id": id.replaceAll("-", ""),
        },
      };
    },
  },
  shopify: {
    events: ["orders/create", "products/update"],
    make: ({ event, id, now }) => ({
      body: { id: seconds(now), updated_at: now.toISOString() },
      headers: {
        "x-shopify-topic": event,
        "x-shopify-webhook-id": id,
        "x-shopify-shop-domain": "sample.myshopify.com",
      },
    }),
  },
  slack: {
    events: ["app_mention", "message.channels", "reaction_added"],
    make: ({ event, id, now }) => {
      const [type, kind] = halves(event);
      const channelTypes: Record<string, string> = { channels: "channel", groups: "group" };
      const message = kind ? { channel_type: channelTypes[kind] ?? kind } : {};
      return {
        body: {
          type: "event_callback",
          team_id: "TSAMPLE",
          event_id: `Ev${id}`,
          event_time: seconds(now),
          event: { type, ...message, channel: "CSAMPLE", user: "USAMPLE", text: "A sample" },
        },
      };
    },
  },
  square: {
    events: ["payment.created", "order.updated"],
    make: ({ event, id, now }) => ({
      body: {
        event_id: id,
        type: event,
        merchant_id: "SAMPLE",
        created_at: now.toISOString(),
        data: { type: event.split(".")[0], id },
      },
    }),
  },
  stripe: {
    events: ["payment_intent.succeeded", "invoice.paid"],
    make: ({ event, id, now }) => ({
      body: {
        id: `evt_${id.replaceAll("-", "")}`,
        object: "event",
        type: event,
        created: seconds(now),
        livemode: false,
        data: { object: { id: "sample", object: event.split(".")[0] } },
      },
    }),
  },
  twilio: {
    events: ["message.delivered", "message.failed", "call.completed"],
    make: ({ event, id }) => {
      const [kind, status = "delivered"] = halves(event);
      const name = kind === "call" ? "Call" : "Message";
      const fields = {
        AccountSid: "ACsample",
        [`${name}Sid`]: "SMsample",
        [`${name}Status`]: status,
      };
      return { body: new URLSearchParams(fields), headers: { "i-twilio-idempotency-token": id } };
    },
  },
  typeform: {
    events: ["form_response"],
    make: ({ event, id, now }) => ({
      body: {
        event_id: id,
        event_type: event,
        form_response: { form_id: "sample", token: id, submitted_at: now.toISOString() },
      },
    }),
  },
  vercel: {
    events: ["deployment.succeeded", "deployment.created"],
    make: ({ event, id, now }) => ({
      body: {
        id,
        type: event,
        createdAt: now.getTime(),
        payload: { deployment: { id: "dpl_sample" }, team: { id: "team_sample" } },
      },
    }),
  },
  zoom: {
    events: ["meeting.started", "meeting.ended"],
    make: ({ event, id, now }) => ({
      body: {
        event,
        event_ts: now.getTime(),
        payload: { account_id: "sample", object: { id } },
      },
    }),
  },
};

/** The events of a provider that there are samples of, the default first. */
export async function sampleEvents(provider: string): Promise<string[]> {
  if (provider !== "github") return (PROVIDERS[provider] ?? typed).events;
  const names = (await githubExamples()).flatMap(({ name, examples }) => [
    name,
    ...new Set(
      examples.flatMap(({ action }) => typeof action === "string" ? `${name}.${action}` : []),
    ),
  ]);
  return ["workflow_run.completed", ...names.filter((name) => name !== "workflow_run.completed")];
}

/** Makes a sample, or undefined when there is none of that name. */
export async function makeSample(
  provider: string,
  facts: SampleFacts,
): Promise<Sample | undefined> {
  return provider === "github"
    ? await makeGitHubSample(facts)
    : (PROVIDERS[provider] ?? typed).make(facts);
}

interface GitHubExamples {
  name: string;
  examples: Record<string, unknown>[];
}

/** GitHub's own published examples: megabytes, so only read when they are asked for. */
async function githubExamples(): Promise<GitHubExamples[]> {
  const module = await import("@octokit/webhooks-examples", { with: { type: "json" } });
  return module.default as unknown as GitHubExamples[];
}

async function makeGitHubSample({ event, id }: SampleFacts): Promise<Sample | undefined> {
  const [name, action] = halves(event);
  const headers = {
    "user-agent": "GitHub-Hookshot/sample",
    "x-github-event": name,
    "x-github-delivery": id,
  };
  const examples = (await githubExamples()).find((each) => each.name === name)?.examples
    .filter((example) => action === undefined || example.action === action);
  // Of a run the successful one: it is what has artifacts.
  const body = examples?.find((example) => {
    const run = example.workflow_run as { conclusion?: string } | undefined;
    return run?.conclusion === "success";
  }) ?? examples?.[0];
  return body && { body, headers };
}
