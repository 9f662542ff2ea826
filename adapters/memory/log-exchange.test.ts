import { logExchangeConforms } from '../../test/conformance/log-exchange.ts';
import { MemoryLogExchange } from './log-exchange.ts';

logExchangeConforms('MemoryLogExchange', () => new MemoryLogExchange());
