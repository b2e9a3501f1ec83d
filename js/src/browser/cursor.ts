/**
 * Whether `cursor` is of the same epoch as `other`, and there or before.
 *
 * A cursor is `EPOCH.OFFSET.TAG`; offsets are dense within an epoch.
 */
export function isUpTo(cursor: string, other: string): boolean {
  const [epoch, offset] = cursor.split(".");
  const [otherEpoch, otherOffset] = other.split(".");
  return epoch === otherEpoch && Number(offset) <= Number(otherOffset);
}
