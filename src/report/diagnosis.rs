//! What may keep runs from working: the result of `doctor`.

use anstyle::AnsiColor;
use serde_json::{Value, json};

use super::{Report, table};
use crate::error::Remark;

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// Nothing is wrong, but a person should know it.
    Note,
    Wrong,
    /// It could not be found out.
    Unknown,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A word for what it is about.
    pub(crate) about: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) text: String,
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn new(about: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { about, verdict, text: text.into(), remedy: None }
    }

    pub(crate) fn good(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(about, Verdict::Good, text)
    }

    pub(crate) fn note(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(about, Verdict::Note, text)
    }

    pub(crate) fn wrong(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(about, Verdict::Wrong, text)
    }

    /// `why` says why it could not be found out.
    pub(crate) fn unknown(about: &'static str, why: impl Into<String>) -> Self {
        Self::new(about, Verdict::Unknown, format!("not known: {}", why.into()))
    }

    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn of_remark(about: &'static str, verdict: Verdict, remark: Remark) -> Self {
        // Several lines would not fit into a table.
        let line = |text: String| text.lines().collect::<Vec<_>>().join("; ");
        Self { about, verdict, text: line(remark.message), remedy: remark.hint.map(line) }
    }

    /// What the error at the end says about it.
    pub(crate) fn to_remark(&self) -> Remark {
        let remark = Remark::new(format!("{}: {}", self.about, self.text));
        match &self.remedy {
            Some(remedy) => remark.with_hint(format!("{}: {remedy}", self.about)),
            None => remark,
        }
    }

    pub(crate) fn is_wrong(&self) -> bool {
        self.verdict == Verdict::Wrong
    }
}

/// All that was looked at.
pub(crate) struct Diagnosis<'a> {
    pub(crate) database: &'a str,
    pub(crate) findings: &'a [Finding],
}

impl Report for Diagnosis<'_> {
    fn table(&self) -> Vec<Vec<String>> {
        let head = table::head(["CHECK", "STATE", "FINDING"]);
        std::iter::once(head).chain(self.findings.iter().map(cells)).collect()
    }

    fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "check": finding.about, "state": finding.verdict.as_str(), "text": finding.text, "remedy": finding.remedy,
                })
            })
            .collect();
        let wrong = self.findings.iter().filter(|finding| finding.is_wrong()).count();
        json!({ "database": self.database, "findings": findings, "wrong": wrong })
    }
}

fn cells(finding: &Finding) -> Vec<String> {
    let color = match finding.verdict {
        Verdict::Good => AnsiColor::Green,
        Verdict::Note => AnsiColor::Cyan,
        Verdict::Wrong => AnsiColor::Red,
        Verdict::Unknown => AnsiColor::Yellow,
    };
    let color = color.on_default();
    let remedy = finding.remedy.as_ref().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
    vec![
        finding.about.to_owned(),
        format!("{color}{}{color:#}", finding.verdict.as_str()),
        format!("{}{remedy}", finding.text),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_the_count_of_what_is_wrong_and_each_remedy() {
        let wrong = Finding::of_remark("lock", Verdict::Wrong, Remark::new("a\nb").with_hint("c"));
        let findings = [Finding::good("server", "6.0"), wrong, Finding::unknown("oplog", "no right")];
        let json = Diagnosis { database: "blog", findings: &findings }.json();
        assert_eq!(json["wrong"], 1);
        assert_eq!(json["findings"][1], json!({ "check": "lock", "state": "wrong", "text": "a; b", "remedy": "c" }));
        assert_eq!(json["findings"][2]["text"], "not known: no right");
        assert_eq!(findings[1].to_remark(), Remark::new("lock: a; b").with_hint("lock: c"));
    }
}
