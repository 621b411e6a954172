/**
 * Repair requests: names of orders, what owners and crews sign, and what anyone may trigger (contracts/work_order.py,
 * WorkOrders.vy). Instants are Unix seconds as bigint.
 */

import { concat, fromBigInt } from "./bytes.js";
import { sha256 } from "./sha256.js";

export const STATE = Object.freeze({ NONE: 0, REPORTED: 1, ACCEPTED: 2, DONE: 3, CONFIRMED: 4, LAPSED: 5, WITHDRAWN: 6 });
export const CAUSE = Object.freeze({ NOT_ACCEPTED: 1, PROMISE_MISSED: 2 });
export const PURPOSE = Object.freeze({
  REPORT: "work.report", WITHDRAW: "work.withdraw", ACCEPT: "work.accept", ARRIVE: "work.arrive", DONE: "work.done",
  CONFIRM: "work.confirm", REOPEN: "work.reopen",
});

const word = (value) => fromBigInt(value, 32);

/** The name of an order that an owner reports; `device` zero for what has none, `report` a digest of salted detail. */
export function ownersOrder({ unit, device, report }) {
  return sha256(concat(unit, device, report));
}

/** ABI bodies of what is signed, for `personDigest`; the round comes from the order as the contract has it. */
export const body = Object.freeze({
  report: ({ device, report }) => concat(device, report),
  withdraw: ({ order, round }) => concat(order, word(round)),
  accept: ({ order, promiseAt, round }) => concat(order, word(promiseAt), word(round)),
  arrive: ({ order, arrival, at, round }) => concat(order, arrival, word(at), word(round)),
  done: ({ order, evidence, round }) => concat(order, evidence, word(round)),
  confirm: ({ order, round }) => concat(order, word(round)),
  reopen: ({ order, reason, round }) => concat(order, reason, word(round)),
});

/** Whether somebody of the accepting firm said in time that they had come. */
const isKept = ({ arrivedAt, arrivedFirm, firm, promiseAt }) => 0n < arrivedAt && arrivedAt <= promiseAt && arrivedFirm === firm;

/** What anyone may trigger in a block of this time: any of `escalate`, `release`, `lapse`. */
export function triggers(order, terms, now) {
  const found = [];
  if (order.state === STATE.REPORTED) {
    if (now > order.reportedAt + terms.acceptWithin && !(order.escalated & CAUSE.NOT_ACCEPTED)) found.push("escalate");
  } else if (order.state === STATE.ACCEPTED) {
    if (now > order.promiseAt && !isKept(order) && !(order.escalated & CAUSE.PROMISE_MISSED)) found.push("escalate");
    if (now > order.promiseAt + terms.giveUpAfter) found.push("release");
  } else if (order.state === STATE.DONE && now > order.doneAt + terms.confirmWithin) {
    found.push("lapse");
  }
  return found;
}
