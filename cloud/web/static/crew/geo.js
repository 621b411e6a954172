/**
 * Whether the phone is near the lift: yes, no, or not known. Only that answer leaves this file; no coordinate is kept,
 * signed or sent.
 */

const EARTH_M = 6_371_000;
const WAIT_MS = 8_000;

/**
 * @param {{latitude_e6: number, longitude_e6: number, radius_m: number} | null} fence of the building, as coarse as the
 *        site gave it.
 * @returns {Promise<boolean | null>} null where the phone does not tell or the lift has no fence.
 */
export async function isInside(fence) {
  if (!fence || !navigator.geolocation) return null;
  const found = await new Promise((resolve) => {
    const options = { enableHighAccuracy: false, timeout: WAIT_MS, maximumAge: 60_000 };
    navigator.geolocation.getCurrentPosition(resolve, () => resolve(null), options);
  });
  if (!found) return null;
  const { latitude, longitude, accuracy } = found.coords;
  const away = metresBetween(latitude, longitude, fence.latitude_e6 / 1e6, fence.longitude_e6 / 1e6);
  return away <= fence.radius_m + accuracy;
}

/** Great-circle distance of two places given in degrees. */
export function metresBetween(latitude, longitude, otherLatitude, otherLongitude) {
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const half = (angle) => Math.sin(angle / 2) ** 2;
  const across = Math.cos(radians(latitude)) * Math.cos(radians(otherLatitude)) * half(radians(otherLongitude - longitude));
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(half(radians(otherLatitude - latitude)) + across)));
}
