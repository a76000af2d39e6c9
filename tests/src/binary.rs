//! Finds the product's binary, for every test that runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;

/// The built `ringwall` binary.
///
/// `RINGWALL_BIN` names one that is to be tested as it is. Without it cargo is asked, once in each
/// test process, to bring the binary up to date: same profile and target directory as the running
/// test, and as part of the whole workspace, so there is nothing to do after `cargo test --workspace`. For
/// the binary's package alone cargo would build most crates again, with fewer features.
///
/// # Panics
/// When `RINGWALL_BIN` names no file, or when the build fails (cargo's messages are on stderr).
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| named().unwrap_or_else(build)).clone()
}

/// The root of the source tree: where cargo runs this test, or else where it was built.
pub fn workspace() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let built = || env!("CARGO_MANIFEST_DIR").into();
        let tests = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built);
        Path::new(&tests).parent().expect("the tests are in a folder of the root").into()
    });
    &ROOT
}

fn named() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("RINGWALL_BIN")?);
    assert!(path.is_file(), "RINGWALL_BIN={} is no file", path.display());
    Some(path)
}

fn build() -> PathBuf {
    let here = Here::of_this_test();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        // A test of the package that has the binary: cargo builds that for it.
        .args(["test", "--no-run", "--workspace", "--test", "recover"])
        .args(["--message-format", "json-render-diagnostics", "--profile", &here.profile])
        .arg("--target-dir")
        .arg(&here.target)
        .current_dir(workspace())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "cargo could not build the binary: {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).expect("cargo names the executable that it built")
}

/// Where the running test was built, as its own path tells: `<target>/<profile>/deps/<test>`.
#[derive(Debug, PartialEq)]
struct Here {
    target: PathBuf,
    profile: String,
}

impl Here {
    fn of_this_test() -> Self {
        let test = std::env::current_exe().expect("a test knows its own path");
        Self::of(&test).expect("a test lies in <target>/<profile>/deps")
    }

    fn of(test: &Path) -> Option<Self> {
        let directory = test.ancestors().find(|path| path.ends_with("deps"))?.parent()?;
        let profile = match directory.file_name()?.to_str()? {
            "debug" => "dev", // The one profile whose directory has another name.
            other => other,
        };
        Some(Self { target: directory.parent()?.into(), profile: profile.into() })
    }
}

/// What matters here of cargo's messages, one JSON object a line.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter_map(|message| message.executable)
        .find(|path| path.ends_with("ringwall"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_profile_off_the_path() {
        let here = |target: &str, profile: &str| {
            Some(Here { target: target.into(), profile: profile.into() })
        };
        assert_eq!(Here::of(Path::new("/t/debug/deps/cli-0f")), here("/t", "dev"));
        assert_eq!(Here::of(Path::new("/t/release/deps/cli-0f")), here("/t", "release"));
        assert_eq!(Here::of(Path::new("/elsewhere/cli-0f")), None);
    }

    #[test]
    fn takes_the_executable_out_of_the_messages() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"executable\":null}\n",
            "not json\n",
            "{\"reason\":\"compiler-artifact\",\"executable\":\"/t/debug/ringwall\"}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(executable(messages), Some("/t/debug/ringwall".into()));
        assert_eq!(executable("{\"reason\":\"build-finished\"}"), None);
    }
}
