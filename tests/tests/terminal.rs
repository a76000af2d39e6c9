//! `ringwall top` on a real terminal, which `script` makes: what is on it, and that it is given back.
#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringwall_tests::{binary, require, run, temp_dir, tool, wait_for, wait_for_some};

const LIMIT: Duration = Duration::from_secs(60);

/// What a terminal is told when a program takes it for a screen, and when it gives it back (xterm's private
/// modes 1049 and 25).
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";
const CURSOR: &str = "\u{1b}[?25h";

/// A terminal of 80 columns and 24 lines with `top` on it, which asks a daemon that is not there.
struct Terminal {
    script: Child,
    keys: Option<ChildStdin>,
    said: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Terminal {
    fn open() -> Self {
        let folder = temp_dir();
        let socket = folder.path().join("none.sock");
        // The mode of the terminal is said before and after: it is to be the same.
        let command = format!(
            "stty rows 24 cols 80; stty -a; {} top --socket {}; echo status=$?; stty -a",
            binary().display(),
            socket.display()
        );
        let mut script = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (keys, mut output) = (script.stdin.take(), script.stdout.take().unwrap());
        let said = Arc::<Mutex<String>>::default();
        let into = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        Self { script, keys, said, reader: Some(reader) }
    }

    fn shows(&self, text: &str) {
        wait_for(LIMIT, text, || words(&self.said.lock().unwrap()).contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// What was said in all, when the program has ended.
    fn ended(mut self) -> String {
        let status = wait_for_some(LIMIT, "its end", || self.script.try_wait().unwrap());
        assert!(status.success(), "{status}");
        drop(self.keys.take());
        self.reader.take().unwrap().join().unwrap();
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, unless the test fails.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// What stands on the screen, word by word: spaces are not drawn, the cursor is sent over them.
fn words(said: &str) -> String {
    let mut pieces = said.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default();
    let text = |piece: &str| {
        let end = piece.find(|it: char| it.is_ascii_alphabetic()).map_or(piece.len(), |at| at + 1);
        piece[end..].to_owned()
    };
    let rest = pieces.map(text).collect::<Vec<_>>().join(" ");
    format!("{first} {rest}").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The terminal is as it was, in all that `stty` tells.
fn is_given_back(said: &str) {
    assert_eq!([TAKEN, GIVEN_BACK].map(|it| said.matches(it).count()), [1, 1], "{said:?}");
    let (before, rest) = said.split_once(TAKEN).unwrap();
    let (_, after) = rest.split_once(GIVEN_BACK).unwrap();
    assert!(after.contains(CURSOR), "{after:?}");
    let modes = |text: &str| text[text.find("speed").unwrap()..].trim().to_owned();
    assert_eq!(modes(before), modes(after));
}

#[test]
fn top_says_why_it_shows_nothing_and_gives_the_terminal_back() {
    require!(tool("script"), tool("stty"));
    let mut terminal = Terminal::open();
    terminal.shows("no daemon has this socket");
    terminal.press("?");
    terminal.shows("clear anomalies");
    terminal.press("q");
    let said = terminal.ended();
    assert!(said.contains("status=0"), "{said:?}");
    is_given_back(&said);
}

#[test]
fn a_signal_ends_top_as_a_key_does() {
    require!(tool("script"), tool("stty"));
    let terminal = Terminal::open();
    terminal.shows("no daemon has this socket");
    let process = top_below(terminal.script.id());
    kill(process, Signal::SIGTERM).unwrap();
    let said = terminal.ended();
    assert!(said.contains("status=0"), "{said:?}");
    is_given_back(&said);
}

#[test]
fn a_terminal_that_is_gone_ends_top() {
    require!(tool("script"), tool("stty"));
    let mut terminal = Terminal::open();
    terminal.shows("no daemon has this socket");
    let process = top_below(terminal.script.id());
    terminal.script.kill().unwrap();
    terminal.script.wait().unwrap();
    wait_for(LIMIT, "the end of top", || kill(process, None).is_err());
}

/// The process of `top`: its parent is the shell that `script` started.
fn top_below(script: u32) -> Pid {
    let children = |of: u32| {
        let path = format!("/proc/{of}/task/{of}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().map(|it| it.parse().unwrap()).collect::<Vec<u32>>()
    };
    let name = |of: u32| std::fs::read_to_string(format!("/proc/{of}/comm")).unwrap_or_default();
    wait_for_some(LIMIT, "the process of top", || {
        let shells = children(script);
        let all = shells.iter().flat_map(|shell| children(*shell)).chain(shells.iter().copied());
        let found = all.into_iter().find(|process| name(*process).trim() == "ringwall");
        found.map(|process| Pid::from_raw(process.cast_signed()))
    })
}

#[test]
fn without_a_terminal_top_names_what_does_the_same() {
    run(["top", "--socket", "/none.sock"]).exits(2).says("`ringwall show top`");
    run(["--json", "top", "--socket", "/none.sock"]).exits(2).says("is no JSON");
}
