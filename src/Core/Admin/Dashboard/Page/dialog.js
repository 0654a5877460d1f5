// Dialogs and notices. The browser keeps focus inside a modal dialog and gives it back after.

import { byId, el } from "./dom.js";

/** Opens a dialog that is thrown away when it closes. */
export function open(title, ...content) {
  const id = `dialog-${open.made = (open.made ?? 0) + 1}`;
  const dialog = el("dialog", { "aria-labelledby": id }, el("div.dialog-head", {}, el("h2", { id }, title),
    el("button.quiet", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕")), ...content);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", event => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before something is done. Resolves to true once it was done, to false when it was not. */
export function confirm({ title, text, action, danger = false, run }) {
  return new Promise(resolve => {
    const problem = el("p.problem", { role: "alert" });
    const go = el(danger ? "button.danger" : "button.primary", { type: "button" }, action);
    const dialog = open(title, ...text.filter(Boolean).map(line => el("p", {}, line)), problem,
      el("div.buttons", {}, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), go));
    const cancel = go.previousElementSibling;
    let done = false;
    go.addEventListener("click", async () => {
      go.disabled = true;
      problem.textContent = "";
      try {
        await run();
        done = true;
        dialog.close();
      } catch (error) {
        problem.textContent = error.message;
        go.disabled = false;
        go.focus();
      }
    });
    dialog.addEventListener("close", () => resolve(done));
    (danger ? cancel : go).focus();
  });
}

/** A labelled input with room for what the balancer says of it. */
export function field(name, label, attributes = {}, hint = "") {
  const id = `field-${name}-${field.made = (field.made ?? 0) + 1}`;
  const { options, ...rest } = attributes;
  const input = options
    ? el("select", { id, name, ...rest }, options.map(([value, text]) => el("option", { value, selected: value === rest.value }, text)))
    : el("input", { id, name, type: "text", autocomplete: "off", spellcheck: "false", ...rest });
  input.setAttribute("aria-describedby", `${id}-hint ${id}-problem`);
  return el("div.field", { "data-field": name }, el("label", { for: id }, label), input,
    el("p.hint", { id: `${id}-hint` }, hint), el("p.problem", { id: `${id}-problem` }));
}

/** A form whose problems are shown at their fields. run(form) may throw an ApiError. */
export function form(content, submit, run) {
  const problem = el("p.problem", { role: "alert" });
  const button = el("button.primary", { type: "submit" }, submit);
  const made = el("form", { novalidate: true }, ...content, problem, el("div.buttons", {}, button));
  made.addEventListener("submit", async event => {
    event.preventDefault();
    clear(made);
    problem.textContent = "";
    button.disabled = true;
    try {
      await run(made);
    } catch (error) {
      problem.textContent = mark(made, error);
    } finally {
      button.disabled = false;
    }
  });
  return made;
}

function clear(made) {
  for (const input of made.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.closest(".field").querySelector(".problem").textContent = "";
  }
}

/** Puts what is wrong beside its field; what belongs to none is the answer. */
function mark(made, error) {
  const homeless = [];
  for (const { field: name, message } of error.fields ?? []) {
    const input = [...made.elements].find(one => one.name && (one.name === name || name.startsWith(`${one.name}.`) || name.startsWith(`${one.name}[`)));
    if (input) {
      input.closest("details")?.setAttribute("open", "");
      input.setAttribute("aria-invalid", "true");
      input.closest(".field").querySelector(".problem").textContent = message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
    } else {
      homeless.push(message);
    }
  }

  made.querySelector("[aria-invalid]")?.focus();
  return (error.fields ?? []).length === 0 ? error.message : homeless.join(" ");
}

let undoing = null;

/** Says what was done; with undo, for a while it can be taken back, by the button or Ctrl+Z. */
export function notify(text, undo = null, problem = false) {
  const toast = el(problem ? "div.toast.bad" : "div.toast", { role: problem ? "alert" : "status" });
  byId("toasts").append(toast);
  const gone = () => {
    clearTimeout(timer);
    toast.remove();
    undoing = undoing === act ? null : undoing;
  };
  const act = async () => {
    gone();
    try {
      notify(await undo());
    } catch (error) {
      notify(`It could not be undone: ${error.message}`, null, true);
    }
  };
  toast.append(el("p", {}, text), ...(undo ? [el("button", { type: "button", onclick: act, title: "Ctrl+Z" }, "Undo")] : []),
    el("button.quiet", { type: "button", "aria-label": "Dismiss", onclick: gone }, "✕"));
  undoing = undo ? act : undoing;
  let timer;
  const wait = () => { timer = setTimeout(gone, undo ? 20_000 : problem ? 15_000 : 6_000); };
  const hold = () => clearTimeout(timer);
  toast.addEventListener("pointerenter", hold);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("pointerleave", wait);
  toast.addEventListener("focusout", wait);
  wait();
  while (byId("toasts").children.length > 2) {
    byId("toasts").firstElementChild.remove();
  }
}

document.addEventListener("keydown", event => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z" && undoing && !event.target.closest("input, select, textarea, dialog")) {
    event.preventDefault();
    undoing();
  }
});
