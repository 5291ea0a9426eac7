/**
 * Push channels of Drive and Calendar.
 * @see https://developers.google.com/workspace/drive/api/guides/push
 */
import { type Call, CallError } from "./call.ts";
import type { ChannelTask, OpenedChannel } from "./types.ts";

/** What Google answers to `watch`. */
interface Channel {
  resourceId: string;
  /** Milliseconds since the epoch, in digits. */
  expiration?: string;
}

/** Opens a channel with an action that takes `id`, `address` and `token`. */
export async function openChannel(
  { channel_id, address, token }: ChannelTask,
  call: Call,
  action: string,
  parameters: Record<string, unknown>,
): Promise<OpenedChannel> {
  const { result } = await call<Channel>(action, { ...parameters, id: channel_id, address, token });
  return {
    resource_id: result.resourceId,
    expires_at: result.expiration ? new Date(Number(result.expiration)) : null,
  };
}

/** Stops a channel. */
export async function stopChannel(
  { channel_id, resource_id }: ChannelTask,
  call: Call,
): Promise<void> {
  try {
    await call("channels.stop", { id: channel_id, resourceId: resource_id });
  } catch (error) {
    if (!(error instanceof CallError) || error.status !== 404) throw error;
  }
}
