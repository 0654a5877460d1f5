using Microsoft.Playwright;

namespace Roadbalancer.Tests.Dashboard;

/// <summary>Accessibility that a program can judge (WCAG 2.2: 1.3.1, 1.4.3, 4.1.2).</summary>
internal static class PageChecks
{
    /// <summary>Texts with less than 4.5:1 against the ground they stand on.</summary>
    public static Task<string[]> FaintTextsAsync(IPage page) => page.EvaluateAsync<string[]>(
        """
        () => {
          const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const rgba = color => {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = color;
            canvas.fillRect(0, 0, 1, 1);
            return canvas.getImageData(0, 0, 1, 1).data;
          };
          const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
          const ground = element => {
            for (let at = element; at; at = at.parentElement) {
              const color = rgba(getComputedStyle(at).backgroundColor);
              if (color[3] === 255) return color;
            }
            return [255, 255, 255];
          };
          const scope = document.querySelector("dialog[open]") ?? document.body;
          const faint = [];
          const walker = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const element = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".hidden, .skip, script, noscript, option")) continue;
            const style = getComputedStyle(element);
            const [one, other] = [light(rgba(element instanceof SVGElement ? style.fill : style.color)), light(ground(element))];
            const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            if (ratio < 4.5) faint.push(`${walker.currentNode.data.trim()} ${ratio.toFixed(2)}`);
          }
          return faint;
        }
        """);

    /// <summary>Controls, pictures and regions that a screen reader could not name.</summary>
    public static Task<string[]> NamelessAsync(IPage page) => page.EvaluateAsync<string[]>(
        """
        () => [...document.querySelectorAll("button, input, select, summary, a, dialog, [role=img], [role=list], img, table, section")]
          .filter(one => one.checkVisibility())
          .filter(one => {
            const by = one.getAttribute("aria-labelledby");
            const name = one.getAttribute("aria-label") ?? (by ? document.getElementById(by)?.textContent : null) ?? one.getAttribute("alt") ?? one.labels?.[0]?.textContent
              ?? (one.matches("button, a, summary") ? one.textContent : one.matches("table") ? (one.caption ?? one.closest("section")?.querySelector("h2"))?.textContent
              : one.matches("dialog section") ? one.querySelector("h3")?.textContent : null);
            return name === null || name === undefined || (!name.trim() && !one.matches("img[alt='']"));
          })
          .map(one => one.outerHTML.slice(0, 120))
        """);

    /// <summary>Headings that are more than one level below the one before.</summary>
    public static Task<string[]> SkippedHeadingsAsync(IPage page) => page.EvaluateAsync<string[]>(
        """
        () => [...document.querySelectorAll("h1, h2, h3, h4")].filter(one => one.checkVisibility())
          .filter((one, index, all) => index === 0 ? one.tagName !== "H1" : Number(one.tagName[1]) > Number(all[index - 1].tagName[1]) + 1)
          .map(one => one.textContent)
        """);

    /// <summary>The colour of the page's ground.</summary>
    public static Task<string> GroundAsync(IPage page) => page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
}
