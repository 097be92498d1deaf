//! Steers a WebKit window as the WebDriver standard says, over HTTP on the loopback of a host.
//!
//! Only as much of the standard as a person does: look, click, type, and read. Every call is one
//! connection, so that nothing has to be kept in step.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::host::Host;

/// How long one call may take. A click waits until the page has dealt with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name under which elements come in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A session with a driver that listens on a host.
pub(crate) struct Driver {
    host: Host,
    port: u16,
    session: String,
}

/// An element on the page, until the page draws it anew.
pub(crate) struct Element(String);

impl Driver {
    /// Whether somebody listens there who could be the driver.
    pub(crate) fn is_ready(host: &Host, port: u16) -> Result<()> {
        call(host, port, "GET", "/status", None).map(drop)
    }

    /// Starts a program under the driver.
    pub(crate) fn open(host: &Host, port: u16, program: &str, words: &[&str]) -> Result<Self> {
        let options = json!({ "binary": program, "args": words });
        let wanted = json!({ "alwaysMatch": { "webkitgtk:browserOptions": options } });
        let body = json!({ "capabilities": wanted });
        let made = call(host, port, "POST", "/session", Some(&body))?;
        let session = made["sessionId"].as_str().context("the driver named no session")?;
        Ok(Self { host: host.clone(), port, session: session.to_owned() })
    }

    /// The elements that a selector of CSS finds.
    pub(crate) fn find(&self, selector: &str) -> Result<Vec<Element>> {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.post("/elements", &body)?;
        let found = found.as_array().context("no list of elements")?;
        let id = |element: &Value| element[ELEMENT].as_str().map(str::to_owned).map(Element);
        found.iter().map(id).collect::<Option<_>>().context("an element without a name")
    }

    /// The text of an element, as it is seen. The standard's own way to ask for it leaves out what
    /// may be cut at the end of a line.
    pub(crate) fn text(&self, Element(id): &Element) -> Result<String> {
        let text = self.get(&format!("/element/{id}/property/innerText"))?;
        // Between a number and its unit stand blanks at which no line ends.
        Ok(text.as_str().context("no text")?.replace(['\u{a0}', '\u{202f}'], " "))
    }

    /// Whether an element can be used. A click on one that cannot is no error, and does nothing.
    pub(crate) fn is_enabled(&self, Element(id): &Element) -> Result<bool> {
        Ok(self.get(&format!("/element/{id}/enabled"))?.as_bool() == Some(true))
    }

    /// Clicks in the middle of an element.
    pub(crate) fn click(&self, Element(id): &Element) -> Result<()> {
        self.post(&format!("/element/{id}/click"), &json!({})).map(drop)
    }

    /// Types into an element.
    pub(crate) fn enter(&self, Element(id): &Element, text: &str) -> Result<()> {
        self.post(&format!("/element/{id}/value"), &json!({ "text": text })).map(drop)
    }

    /// What an expression of JavaScript gives.
    pub(crate) fn evaluate(&self, expression: &str) -> Result<Value> {
        let script = format!("return ({expression})");
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// A picture of the page, as PNG in Base64.
    pub(crate) fn picture(&self) -> Result<String> {
        Ok(self.get("/screenshot")?.as_str().context("no picture")?.to_owned())
    }

    /// Ends the program.
    pub(crate) fn close(&self) -> Result<()> {
        let path = format!("/session/{}", self.session);
        call(&self.host, self.port, "DELETE", &path, None).map(drop)
    }

    fn get(&self, path: &str) -> Result<Value> {
        call(&self.host, self.port, "GET", &format!("/session/{}{path}", self.session), None)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let path = format!("/session/{}{path}", self.session);
        call(&self.host, self.port, "POST", &path, Some(body))
    }
}

/// One call; gives the answer's `value`.
fn call(host: &Host, port: u16, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let answer = host.enter(|| exchange(port, method, path, &body))??;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer of HTTP")?;
    let answer: Value = serde_json::from_str(body).context("an answer that is not JSON")?;
    let value = answer.get("value").cloned().unwrap_or_default();
    if head.split(' ').nth(1) == Some("200") {
        return Ok(value);
    }
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    bail!("{method} {path}: {}: {}", text("error"), text("message"))
}

fn exchange(port: u16, method: &str, path: &str, body: &str) -> Result<String> {
    let place = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&place, PATIENCE).context("no driver")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {place}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("no answer in time")?;
    String::from_utf8(answer).context("an answer that is no text")
}
