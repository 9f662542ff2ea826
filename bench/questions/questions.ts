import { http1Large, http1Small } from './http1.ts';
import { http2 } from './http2.ts';
import type { Question } from './question.ts';

/** In the order of the report. */
export const questions: readonly Question[] = [http1Small, http1Large, http2];
