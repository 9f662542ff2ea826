/** The spec cannot be run here, now or later; the message is for the pod's owner. */
export class Refused extends Error {
  override readonly name = 'Refused';
}
