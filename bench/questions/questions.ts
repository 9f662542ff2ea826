import { certificatesInUse } from './certificates.ts';
import { certificatesAcme } from './certificates-acme.ts';
import { handshakesFull, handshakesResumed, handshakesUnknown } from './handshakes.ts';
import { http1Large, http1Small } from './http1.ts';
import { http2 } from './http2.ts';
import { observability } from './observability.ts';
import type { Question } from './question.ts';
import { idle } from './idle.ts';
import { routes } from './routes.ts';
import { scale } from './scale.ts';
import { podLife } from './pod-life.ts';
import { engine } from './engine.ts';
import { kubernetes } from './kubernetes.ts';
import { tcp } from './tcp.ts';
import { api } from './api.ts';
import { compression } from './compression.ts';
import { transfer } from './transfer.ts';
import { webSocket } from './websocket.ts';

/** In the order of the report. */
export const questions: readonly Question[] = [
  http1Small,
  http1Large,
  http2,
  handshakesFull,
  handshakesResumed,
  handshakesUnknown,
  transfer,
  webSocket,
  tcp,
  podLife,
  engine,
  kubernetes,
  certificatesAcme,
  idle,
  routes,
  certificatesInUse,
  scale,
  observability,
  compression,
  api,
];
