
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);

  // Theme: the system's, or the reader's choice, which is kept where the browser allows a file to keep anything.
  const themes = ["system", "light", "dark"];
  const themeButton = byId("theme");
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const asked = new URLSearchParams(location.search).get("theme");
  let theme = [asked, stored(), "system"].find((name) => themes.includes(name));
  const showTheme = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    themeButton.textContent = `Theme: ${theme}`;
  };
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("theme", theme); } catch { /* a page from a file may keep nothing */ }
    showTheme();
  });
  showTheme();

  if (matchMedia("(max-width: 78rem)").matches) document.querySelector("nav details").open = false;
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));

  const data = JSON.parse(byId("answers").textContent);
  const form = byId("filters");
  if (!form) return;
  const PAGE = matchMedia("(max-width: 40rem)").matches ? 4 : 10;
  const PREFIX = "#answers?";
  let shown = PAGE;

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // Search ignores diacritics, tatweel and the shapes of alef, as a reader who types in a hurry does.
  const fold = (text) => text.toLowerCase().replace(/[\u064B-\u065F\u0670\u0640]/g, "")
    .replace(/[أإآٱ]/g, "ا").replace(/ى/g, "ي").replace(/ة/g, "ه");

  for (const task of data.tasks) form.elements.task.append(element("option", { value: task }, task));
  const fieldset = form.querySelector("fieldset");
  for (const model of data.models) {
    const box = element("input", { type: "checkbox", name: "model", value: model, checked: "" });
    fieldset.append(element("label", {}, box, model));
  }
  const boxes = [...form.querySelectorAll("[name=model]")];

  const state = () => ({
    task: form.elements.task.value,
    outcome: form.elements.outcome.value,
    wording: form.elements.wording.value,
    q: form.elements.q.value.trim(),
    models: boxes.filter((box) => box.checked).map((box) => box.value),
  });

  const fromAddress = () => {
    if (!location.hash.startsWith(PREFIX)) return;
    const given = new URLSearchParams(location.hash.slice(PREFIX.length));
    for (const name of ["task", "outcome", "wording", "q"]) form.elements[name].value = given.get(name) || "";
    const models = given.get("models");
    boxes.forEach((box) => { box.checked = !models || models.split(",").includes(box.value); });
    form.scrollIntoView();
  };

  const toAddress = (now) => {
    const given = new URLSearchParams();
    for (const name of ["task", "outcome", "wording", "q"]) if (now[name]) given.set(name, now[name]);
    if (now.models.length < data.models.length) given.set("models", now.models.join(","));
    history.replaceState(null, "", given.size ? PREFIX + given : location.pathname + location.search);
  };

  const outcomes = {
    right: (answers) => answers.every((one) => one.right === 1),
    wrong: (answers) => answers.every((one) => one.right === 0),
    differ: (answers) => answers.some((one) => one.right === 1) && answers.some((one) => one.right === 0),
    flaw: (answers) => answers.some((one) => one.flaw),
    clean: (answers) => answers.every((one) => !one.flaw),
  };

  const answersOf = (prompt, models) => prompt.answers
    .map((one, place) => ({ ...one, model: data.models[place] }))
    .filter((one) => models.includes(one.model));

  const matches = (prompt, now) => {
    if (now.task && prompt.task !== now.task) return false;
    if (now.wording && prompt.wording !== now.wording) return false;
    const answers = answersOf(prompt, now.models);
    if (now.outcome && !(answers.length && outcomes[now.outcome](answers))) return false;
    if (!now.q) return true;
    const texts = [prompt.id, prompt.reference, ...prompt.turns.map((turn) => turn[1]), ...answers.map((one) => one.text)];
    return texts.some((text) => fold(text).includes(fold(now.q)));
  };

  const grouped = (answers) => {
    const groups = new Map();
    for (const one of answers) {
      const key = `${one.verdict}\n${one.text}`;
      if (!groups.has(key)) groups.set(key, { ...one, models: [] });
      groups.get(key).models.push(one.model);
    }
    return [...groups.values()];
  };

  const arabic = (name, kind, text) => element(name, { class: kind, dir: "rtl", lang: "ar" }, text);

  const card = (prompt, models) => {
    const made = element("article", { class: "prompt", "aria-label": `Prompt ${prompt.id}` });
    made.append(element("p", { class: "about" }, `${prompt.id} · ${prompt.task} · ${prompt.wording} wording`));
    prompt.turns.forEach(([role, text], place) => {
      const last = place === prompt.turns.length - 1;
      made.append(arabic(last ? "h4" : "p", `turn ${role}`, text));
    });
    made.append(arabic("p", "reference", `المرجع: ${prompt.reference}`));
    for (const group of grouped(answersOf(prompt, models))) {
      const kind = group.right === 1 ? "verdict right" : group.right === 0 ? "verdict wrong" : "verdict";
      const who = element("div", { class: "who" }, group.models.join(", "), element("span", { class: kind }, group.verdict));
      made.append(element("div", { class: "given" }, who, arabic("p", "text", group.text || "(empty)")));
    }
    return made;
  };

  const show = () => {
    const now = state();
    const found = data.prompts.filter((prompt) => matches(prompt, now));
    byId("prompts").replaceChildren(...found.slice(0, shown).map((prompt) => card(prompt, now.models)));
    const cut = data.left_out ? ` ${data.left_out} of ${data.total} scored prompts had no room in this page.` : "";
    byId("count").textContent =
      `${found.length} of ${data.prompts.length} prompts match; ${Math.min(shown, found.length)} are shown.${cut}`;
    byId("more").hidden = found.length <= shown;
  };

  const changed = () => { shown = PAGE; toAddress(state()); show(); };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(changed));
  byId("more").addEventListener("click", () => { shown += PAGE; show(); });
  addEventListener("hashchange", () => { fromAddress(); shown = PAGE; show(); });
  form.hidden = false;
  fromAddress();
  show();
})();
