/** Why a field of the wire that nothing enforces yet takes only the value that asks for nothing. */
export const notYet = 'is not available yet, leave it out';
