/**
 * Hands a display's code on to the crew's app. It stands behind the # of the address, which no server is sent; a
 * passenger's browser does nothing with it.
 */

const moment = location.hash.slice(1);
const button = document.getElementById("crew");
if (button && /^[0-9a-z]{7}-[0-9a-z]{13}$/.test(moment)) button.href += `/${moment}`;
