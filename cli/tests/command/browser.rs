//! The page of `gst-upscale serve` in a browser: headless Chromium, driven over its DevTools protocol
//! through a pipe, whose messages end with a zero byte.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::serve::{Server, film, picture};

/// A page in a browser.
struct Page {
    browser: Child,
    commands: ChildStdin,
    messages: BufReader<ChildStdout>,
    session: Option<String>,
    number: u64,
    /// The addresses that the page has loaded.
    loaded: Vec<String>,
    /// Errors of scripts, and refusals of the content security policy.
    errors: Vec<String>,
}

impl Page {
    /// Opens an address in a window of this width. `None`, with a message, without Chromium.
    fn open(profile: &Path, address: &str, width: u32) -> Option<Self> {
        let installed = Command::new("chromium").arg("--version").output();
        if !installed.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: chromium is not installed");
            return None;
        }
        // The protocol uses the descriptors 3 and 4. Users of a container are often root, which the
        // browser's sandbox refuses.
        let script = "exec chromium --headless --no-sandbox --remote-debugging-pipe \
                      --disable-background-networking --user-data-dir=\"$0\" \
                      3<&0 4>&1 >/dev/null 2>&1";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(profile);
        let mut browser = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = browser.stdin.take().unwrap();
        let messages = BufReader::new(browser.stdout.take().unwrap());
        let (loaded, errors) = (Vec::new(), Vec::new());
        let mut page =
            Self { browser, commands, messages, session: None, number: 0, loaded, errors };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = page.call("Target.attachToTarget", attach);
        page.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Network", "Runtime", "Log", "Page", "DOM"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        let size = json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": true });
        page.call("Emulation.setDeviceMetricsOverride", size);
        page.call("Page.navigate", json!({ "url": address }));
        page.wait("document.querySelectorAll('#model option').length > 1");
        Some(page)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut message = Vec::new();
            self.messages.read_until(0, &mut message).unwrap();
            assert_eq!(message.pop(), Some(0), "the browser ended");
            let message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            match message["method"].as_str() {
                Some("Network.requestWillBeSent") => {
                    let address = message["params"]["request"]["url"].as_str().unwrap();
                    self.loaded.push(address.to_owned());
                }
                Some("Runtime.exceptionThrown" | "Log.entryAdded") => {
                    self.errors.push(message["params"].to_string());
                }
                _ => {}
            }
        }
    }

    /// The value of an expression, once a promise is kept.
    fn value(&mut self, expression: &str) -> Value {
        let evaluate =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", evaluate);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    fn wait(&mut self, expression: &str) {
        self.value(&format!(
            "new Promise(done => {{ const look = () => {expression} ? done() : setTimeout(look, 50); \
             look(); }})"
        ));
    }

    /// What the page has loaded from elsewhere than this address, and the files that were chosen.
    fn outside(&self, address: &str) -> Vec<&String> {
        let is_own = |it: &&String| it.starts_with(address) || it.starts_with("blob:");
        self.loaded.iter().filter(|it| !is_own(it)).collect()
    }

    fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "ArrowDown" => (40, ""),
            "ArrowRight" => (39, ""),
            "Escape" => (27, ""),
            _ => panic!("{key}"),
        };
        for kind in [if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Presses Tab until an element has the focus.
    fn tab_to(&mut self, selector: &str) {
        for _ in 0..100 {
            self.press("Tab");
            if self.value(&format!("document.activeElement.matches('{selector}')")) == true {
                return;
            }
        }
        panic!("{selector} cannot be reached by keyboard");
    }

    /// Drags over an element, from one place in it to another one, as shares of its size.
    fn drag(&mut self, selector: &str, from: [f64; 2], to: [f64; 2]) {
        let scroll = format!("document.querySelector('{selector}').scrollIntoView()");
        self.value(&scroll);
        let script = format!(
            "(box => [box.left, box.top, box.width, box.height])\
             (document.querySelector('{selector}').getBoundingClientRect())"
        );
        let found = self.value(&script);
        let [left, top, width, height] = [0, 1, 2, 3].map(|index| found[index].as_f64().unwrap());
        for (kind, [x, y], buttons) in
            [("mousePressed", from, 1), ("mouseMoved", to, 1), ("mouseReleased", to, 0)]
        {
            let event = json!({
                "type": kind, "x": left + x * width, "y": top + y * height, "button": "left",
                "buttons": buttons, "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Selects a file, as the dialog of the system does.
    fn choose(&mut self, file: &Path) {
        let root = self.call("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let query = json!({ "nodeId": root, "selector": "#file" });
        let input = self.call("DOM.querySelector", query)["nodeId"].clone();
        self.call("DOM.setFileInputFiles", json!({ "nodeId": input, "files": [file] }));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

#[test]
#[ignore = "needs Chromium"]
fn the_page_goes_from_a_file_to_its_download_by_keyboard_on_a_narrow_screen() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("state"), &[]);
    let address = format!("http://{}/", server.address);
    let Some(mut page) = Page::open(&folder.path().join("profile"), &address, 390) else { return };
    let inputs = [picture(folder.path()), film(folder.path(), "clip.mkv", 2, "width=64,height=48")];
    for (index, input) in inputs.iter().enumerate() {
        page.tab_to("#file");
        page.choose(input);
        page.tab_to("#size");
        page.press("ArrowDown");
        page.tab_to("#submit");
        page.press("Enter");
        let card = format!("#jobs > li:nth-child({})", index + 1);
        page.wait(&format!("document.querySelector('{card} .state.done')"));
        page.tab_to(&format!("{card} .download"));
        let bytes = page.value(
            "fetch(document.activeElement.href).then(it => it.arrayBuffer()).then(it => it.byteLength)",
        );
        let job = server.wait(index as u64 + 1, |_| true);
        assert_eq!(bytes, job["bytes"]);
        page.tab_to(&format!("{card} .compare"));
        page.press("Enter");
        page.wait("!document.querySelector('#pictures').hidden");
        page.press("ArrowRight");
        assert_eq!(page.value("document.querySelector('#share').value > 50"), true);
        let overflow = page.value("document.documentElement.scrollWidth - innerWidth");
        assert_eq!(overflow, 0, "the page is wider than the screen");
        page.press("Escape");
        assert_eq!(page.value(&format!("document.activeElement.matches('{card} .compare')")), true);
    }
    assert!(page.errors.is_empty(), "{:#?}", page.errors);
    assert!(page.outside(&address).is_empty(), "{:?}", page.outside(&address));
    assert!(page.loaded.len() > 5);
    drop(page);
    fs::remove_dir_all(folder.path().join("profile")).unwrap_or_default();
}

#[test]
#[ignore = "needs Chromium"]
fn a_part_that_is_drawn_on_the_input_is_what_the_result_shows() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("state"), &[]);
    let address = format!("http://{}/", server.address);
    let Some(mut page) = Page::open(&folder.path().join("profile"), &address, 1000) else { return };
    page.choose(&picture(folder.path()));
    page.value("document.querySelector('#edits').open = true");
    page.wait("!document.querySelector('#crop-stage').hidden");
    // The picture has 40×30 pixels.
    page.drag("#crop-image", [0.0, 0.0], [0.5, 0.5]);
    let drawn =
        "['left', 'top', 'width', 'height'].map(it => document.querySelector('#crop-' + it).value)";
    let drawn = page.value(drawn);
    assert_eq!((&drawn[0], &drawn[1]), (&json!("0"), &json!("0")));
    let side = |index: usize| drawn[index].as_str().unwrap().parse::<u32>().unwrap();
    let (width, height) = (side(2), side(3));
    assert!((18..=22).contains(&width) && (12..=18).contains(&height), "{drawn}");
    page.tab_to("#rotate");
    page.press("ArrowDown");
    page.tab_to("#watermark_text");
    page.call("Input.insertText", json!({ "text": "<me>" }));
    page.tab_to("#submit");
    page.press("Enter");
    page.wait("document.querySelector('#jobs .state.done')");
    let about = page.value("document.querySelector('#jobs .about').textContent");
    for part in [&format!("part {width}x{height}+0+0"), "rotated by 90°", "watermark"] {
        assert!(about.as_str().unwrap().contains(part), "{about}");
    }
    page.tab_to("#jobs .compare");
    page.press("Enter");
    page.wait("!document.querySelector('#pictures').hidden");
    let size = "[document.querySelector('#before'), document.querySelector('#after')]\
                .map(it => [it.naturalWidth, it.naturalHeight])";
    let (wide, high) = (height, width);
    assert_eq!(page.value(size), json!([[wide, high], [wide * 2, high * 2]]));
    page.press("Escape");

    // A film that takes long shows its latest frame.
    page.value("document.querySelector('#crop-none').click()");
    page.choose(&film(folder.path(), "clip.mkv", 40, "width=320,height=180"));
    page.value(
        "document.querySelector('#model').value = 'builtin-quality'; \
         document.querySelector('#size').value = '8'",
    );
    page.tab_to("#submit");
    page.press("Enter");
    page.wait("document.querySelector('#jobs .running .latest:not([hidden])')?.naturalWidth > 0");
    let size =
        "(it => [it.naturalWidth, it.naturalHeight])(document.querySelector('.running .latest'))";
    assert_eq!(page.value(size), json!([360, 640]), "rotated");
    assert!(page.errors.is_empty(), "{:#?}", page.errors);
    assert!(page.outside(&address).is_empty(), "{:?}", page.outside(&address));
    drop(page);
    fs::remove_dir_all(folder.path().join("profile")).unwrap_or_default();
}
