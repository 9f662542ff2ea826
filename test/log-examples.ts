import type { PodLogs } from '#contracts/logs.ts';

/** Logs of pods that write nothing more. */
export const logsOf = (read: PodLogs['read']): PodLogs => ({
  read,
  async *follow(key, start) {
    const text = await read(key, 'after' in start ? {} : start);
    if (text !== '') yield { text, cursor: String(text.length), gap: false };
  },
});
