/**
 * Where a job's notice goes: the rule's or the integration's own channel. The environment's is the
 * platform's, and stands in for the default integration's only: a tenant's messages do not go to
 * whatever bears that name in his workspace.
 *
 * @param environments `SLACK_ARTIFACTS_CHANNEL`
 */
export function noticeChannel(
  { channel, is_default }: { channel: string | null; is_default: boolean },
  environments: string | undefined,
): string | null {
  return channel ?? (is_default ? environments ?? null : null);
}
