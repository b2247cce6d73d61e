// A picture over another one of the same size, with a divider that a slider or the pointer moves.

/**
 * `top` is the picture that lies over the other one; it shows what is on this `side` of the divider.
 * Returns a function that draws the divider where the slider is.
 */
export const divider = ({ stage, top, side, handle, slider }) => {
  const divide = () => {
    const share = Number(slider.value);
    top.style.clipPath = side === "left" ? `inset(0 ${100 - share}% 0 0)` : `inset(0 0 0 ${share}%)`;
    handle.style.left = `calc(${share}% - 1px)`;
  };
  const drag = event => {
    if (!(event.buttons & 1)) return;
    const box = stage.getBoundingClientRect();
    slider.value = (event.clientX - box.left) / box.width * 100;
    divide();
  };
  slider.addEventListener("input", divide);
  stage.addEventListener("pointermove", drag);
  stage.addEventListener("pointerdown", event => {
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  return divide;
};
