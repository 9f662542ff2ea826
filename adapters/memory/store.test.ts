import { storeConforms } from '../../test/conformance/store.ts';
import { MemoryStore } from './store.ts';

storeConforms('MemoryStore', async () => new MemoryStore());
