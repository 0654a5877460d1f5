// Elements, made without HTML in strings: whatever a backend or a caller wrote is text and stays text.

const SVG = "http://www.w3.org/2000/svg";

/** el("button.primary", { type: "button", onclick }, "Save", child, …); attributes that are null or false are left out. */
export function el(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  return fill(document.createElement(tag), classes, attributes, children);
}

export function svg(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  return fill(document.createElementNS(SVG, tag), classes, attributes, children);
}

function fill(node, classes, attributes, children) {
  if (classes.length > 0) {
    node.setAttribute("class", classes.join(" "));
  }

  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      node.addEventListener(name.slice(2), value);
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }

  node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = id => document.getElementById(id);

/** Writes only what is new: screen readers and selections are left in peace. */
export function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

/** A group of which one is chosen: real radio buttons, so that arrow keys work. */
export function choice(legend, name, options, chosen, onchange) {
  return el("fieldset.choice", {}, el("legend.hidden", {}, legend),
    options.map(([value, label]) => el("label", {},
      el("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }), el("span", {}, label))));
}

/** Keeps one child for each item, in the items' order, made once and updated after. */
export function keyed(parent, items, keyOf, make, update) {
  const known = parent.known ??= new Map();
  const wanted = new Set(items.map(keyOf));
  for (const [key, node] of known) {
    if (!wanted.has(key)) {
      node.remove();
      known.delete(key);
    }
  }

  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let node = known.get(key);
    if (!node) {
      known.set(key, node = make(item));
    }

    update(node, item);
    if (node === at) {
      at = at.nextElementSibling;
    } else {
      parent.insertBefore(node, at);
    }
  }
}
