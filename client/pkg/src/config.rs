//! `pkg config`: the settings by name.

use crate::cli::parse_rate;
use crate::log;
use crate::settings::{Ask, AutoClean, Settings};
use crate::target::Target;
use plyos_plan::retention::Policy;
use plyos_report::{ExitCode, Failure, print_json, say};
use serde_json::{Value, json};

/// A setting: its name, what it is for, and how it is read and written.
struct Setting {
    name: &'static str,
    about: &'static str,
    values: &'static str,
    get: fn(&Settings) -> Value,
    /// `None` puts the usual value back. Says whether the text was a value.
    set: fn(&mut Settings, Option<&str>) -> bool,
}

const ALL: &[Setting] = &[
    Setting {
        name: "ask",
        about: "show the plan and ask before a change, on a terminal",
        values: "yes or no",
        get: |settings| json!(settings.ask == Ask::Yes),
        set: |settings, text| match yes_or_no(text.unwrap_or("yes")) {
            Some(yes) => {
                settings.ask = if yes { Ask::Yes } else { Ask::No };
                true
            }
            None => false,
        },
    },
    Setting {
        name: "clean.auto",
        about: "clean up after a change if over 80 % full",
        values: "yes or no",
        get: |settings| json!(settings.auto_clean == AutoClean::Yes),
        set: |settings, text| match yes_or_no(text.unwrap_or("yes")) {
            Some(yes) => {
                settings.auto_clean = if yes { AutoClean::Yes } else { AutoClean::No };
                true
            }
            None => false,
        },
    },
    Setting {
        name: "clean.days",
        about: "days of use that a clean-up keeps",
        values: "a number",
        get: |settings| json!(settings.days.unwrap_or(Policy::USUAL.days)),
        set: |settings, text| number(text, &mut settings.days),
    },
    Setting {
        name: "clean.keep",
        about: "generations that a clean-up keeps, the last used",
        values: "a number",
        get: |settings| json!(settings.keep.unwrap_or(Policy::USUAL.keep)),
        set: |settings, text| number(text, &mut settings.keep),
    },
    Setting {
        name: "download.limit",
        about: "bytes of layers a second, at most",
        values: "a size, as 2MiB, or none",
        get: |settings| json!(settings.download_limit),
        set: |settings, text| match text {
            None | Some("none") => {
                settings.download_limit = None;
                true
            }
            Some(text) => match parse_rate(text) {
                Ok(limit) => {
                    settings.download_limit = Some(limit);
                    true
                }
                Err(_) => false,
            },
        },
    },
];

fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

fn number(text: Option<&str>, into: &mut Option<u32>) -> bool {
    match text.map(str::parse) {
        None => *into = None,
        Some(Ok(number)) => *into = Some(number),
        Some(Err(_)) => return false,
    }
    true
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

fn find(name: &str) -> Result<&'static Setting, Failure> {
    ALL.iter().find(|setting| setting.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|setting| setting.name).collect();
        let line = format!("there is no setting '{name}'; there are {}", names.join(", "));
        Failure::new(ExitCode::NotFound, line)
    })
}

fn to_json(settings: &Settings, setting: &Setting) -> Value {
    let value = (setting.get)(settings);
    let is_usual = value == (setting.get)(&Settings::default());
    json!({"name": setting.name, "value": value, "usual": is_usual, "about": setting.about})
}

/// `pkg config list`
pub fn list(target: &Target) -> Result<(), Failure> {
    let settings = Settings::load(&target.store()?)?;
    if target.progress.json() {
        print_json(&ALL.iter().map(|setting| to_json(&settings, setting)).collect());
        return Ok(());
    }
    for setting in ALL {
        say!("{:<15} {:<8} {}", setting.name, shown(&(setting.get)(&settings)), setting.about);
    }
    Ok(())
}

/// `pkg config get`
pub fn get(target: &Target, name: &str) -> Result<(), Failure> {
    let setting = find(name)?;
    let settings = Settings::load(&target.store()?)?;
    if target.progress.json() {
        print_json(&to_json(&settings, setting));
    } else {
        say!("{}", shown(&(setting.get)(&settings)));
    }
    Ok(())
}

/// `pkg config set`, and `unset` without a value.
pub fn set(target: &Target, name: &str, text: Option<&str>) -> Result<(), Failure> {
    let setting = find(name)?;
    let mut writer = target.writer()?;
    let before = Settings::load(&writer)?;
    let mut settings = before.clone();
    if !(setting.set)(&mut settings, text) {
        let line = format!("'{}' is no value of {name}; give {}", text.unwrap_or_default(), setting.values);
        return Err(Failure::new(ExitCode::Usage, line));
    }
    if settings != before {
        settings.put(target, &mut writer)?;
        let command = match text {
            Some(text) => format!("pkg config set {name} {text}"),
            None => format!("pkg config unset {name}"),
        };
        log::done(target, &mut writer, &command)?;
        writer.commit(None).map_err(|error| target.fail(&error))?;
    }
    let value = (setting.get)(&settings);
    if target.progress.json() {
        print_json(&to_json(&settings, setting));
    } else {
        target.progress.step(&format!("{name} is {}.", shown(&value)));
    }
    Ok(())
}
