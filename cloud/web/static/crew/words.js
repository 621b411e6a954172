/** What the app says, in both languages under the same keys; a key that is missing is an error. */

import { EN } from "./words-en.js";
import { ZH } from "./words-zh.js";

export const WORDS = { zh: ZH, en: EN };

export const TAGS = Object.freeze({ zh: "zh-Hans-CN", en: "en" });

/** Says a key in one language: `say("floor", { n: 3 })`. */
export function speaker(language) {
  const words = WORDS[language];
  return (key, values = {}) => {
    const sentence = words[key];
    if (sentence === undefined) throw new Error(`no words for ${key}`);
    return sentence.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  };
}

/** The reader's language: as chosen on this phone, else the browser's if it is one of ours, else Chinese. */
export function chosenLanguage(chosen, offered = navigator.languages) {
  if (chosen in WORDS) return chosen;
  return offered.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in WORDS) ?? "zh";
}
