//! What a package holds beside the program.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{binary, tool};

/// The files, in a directory of the test.
fn written(test: &str) -> PathBuf {
    let directory =
        std::env::temp_dir().join(format!("restis-packaging-{test}-{}", std::process::id()));
    let status = binary()
        .arg("packaging")
        .arg(&directory)
        .env("RESTIS_TOKEN", "hush-token")
        .status();
    assert!(status.unwrap().success());
    directory
}

#[test]
fn the_shell_completes_commands_and_options() {
    let directory = written("bash");
    let script = directory.join("restis.bash");
    for (words, expected) in [
        ("restis se", "serve"),
        ("restis serve --admin", "--admin-addr"),
        ("restis check --wa", "--watch"),
    ] {
        // What bash does when Tab is pressed.
        let complete = format!(
            "source {script:?}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _restis restis \"${{COMP_WORDS[COMP_CWORD]}}\" \"\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash")
            .args(["-c", &complete])
            .output()
            .unwrap();
        let replies = String::from_utf8(output.stdout).unwrap();
        assert!(
            replies.lines().any(|reply| reply == expected),
            "{words}: {replies}"
        );
    }
    for other in ["restis.fish", "_restis"] {
        let text = fs::read_to_string(directory.join(other)).unwrap();
        assert!(
            text.contains("admin-addr") && !text.contains("hush-token"),
            "{other}"
        );
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn each_command_has_a_manual_page_that_man_can_show() {
    let directory = written("man");
    let mut pages = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "1") {
            continue;
        }
        pages += 1;
        let page = fs::read_to_string(&path).unwrap();
        for secret in ["hush-token", "packaging", "resp\\-anonymous"] {
            assert!(!page.contains(secret), "{secret} in {}", path.display());
        }
        if tool("man") {
            let output = Command::new("man")
                .args(["--warnings=char,escape,font,mac,missing,syntax", "-l"])
                .arg(&path)
                .output()
                .unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            // A long option at the end of a line.
            let mut wrong = told
                .lines()
                .filter(|line| !line.ends_with("cannot adjust line"));
            assert!(output.status.success() && wrong.next().is_none(), "{told}");
        }
    }
    assert!(pages >= 15, "{pages}");
    for page in [
        "restis.1",
        "restis-serve.1",
        "restis-check.1",
        "restis-cache-warm.1",
    ] {
        assert!(directory.join(page).exists(), "{page}");
    }
    fs::remove_dir_all(directory).unwrap();
}

/// The unit as it is but for the path of the program, which is not installed here.
#[cfg(target_os = "linux")]
#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !tool("systemd-analyze") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let unit = fs::read_to_string(root.join("deploy/systemd/restis.service")).unwrap();
    let unit = unit.replace("/usr/bin/restis", env!("CARGO_BIN_EXE_restis"));
    let directory = std::env::temp_dir().join(format!("restis-unit-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("restis.service");
    // Pages are not installed here, either.
    fs::write(&path, unit.replace("Documentation=man:restis(1)\n", "")).unwrap();
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output()
        .unwrap();
    let told = String::from_utf8(verified.stderr).unwrap();
    assert!(verified.status.success() && told.is_empty(), "{told}");
    let security = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&path)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&security.stdout).into_owned();
    assert!(security.status.success(), "{told}");
    fs::remove_dir_all(directory).unwrap();
}
