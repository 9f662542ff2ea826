import { trafficExchangeConforms } from '../../test/conformance/traffic-exchange.ts';
import { MemoryTrafficExchange } from './traffic-exchange.ts';

trafficExchangeConforms('MemoryTrafficExchange', () => new MemoryTrafficExchange());
