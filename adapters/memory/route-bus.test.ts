import { routeBusConforms } from '../../test/conformance/route-bus.ts';
import { MemoryRouteBus } from './route-bus.ts';

routeBusConforms('MemoryRouteBus', async () => new MemoryRouteBus());
