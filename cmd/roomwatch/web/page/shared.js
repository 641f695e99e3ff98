// The worker that the windows of a browser share.

import { share } from './source.js';

share(globalThis);
