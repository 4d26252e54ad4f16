//! Verdicts as test runners read them: JUnit's XML, a case for each dialog.

/// What became of one dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) name: String,
    /// What was not as expected.
    pub(super) failures: Vec<String>,
    /// Whether it was not played to its end, for something else had failed before.
    pub(super) skipped: bool,
}

/// Writes the cases of a trace.
pub(super) fn write(trace: &str, cases: Vec<Case>) -> String {
    let failed = cases.iter().filter(|case| !case.failures.is_empty()).count();
    let skipped = cases.iter().filter(|case| case.failures.is_empty() && case.skipped).count();
    let suite = escaped(trace);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str(&format!(
        "<testsuite name=\"{suite}\" tests=\"{}\" failures=\"{failed}\" skipped=\"{skipped}\">\n",
        cases.len()
    ));
    for case in cases {
        text.push_str(&format!(
            "  <testcase classname=\"{suite}\" name=\"{}\">",
            escaped(&case.name)
        ));
        for failure in &case.failures {
            text.push_str(&format!("<failure message=\"{}\"/>", escaped(failure)));
        }
        if case.failures.is_empty() && case.skipped {
            text.push_str("<skipped/>");
        }
        text.push_str("</testcase>\n");
    }
    text.push_str("</testsuite>\n");
    text
}

/// Escapes a text for an attribute; XML has no control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_and_what_was_not_reached_are_told_apart() {
        let case = |name: &str, failures: &[&str], skipped| Case {
            name: name.to_owned(),
            failures: failures.iter().map(|&text| text.to_owned()).collect(),
            skipped,
        };
        let text = write(
            "a<b>.pcap",
            vec![
                case("one", &[], false),
                case("two \u{1b}", &["\"x\" & y"], true),
                case("three", &[], true),
            ],
        );
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuite name=\"a&lt;b&gt;.pcap\" tests=\"3\" failures=\"1\" skipped=\"1\">\n  \
             <testcase classname=\"a&lt;b&gt;.pcap\" name=\"one\"></testcase>\n  \
             <testcase classname=\"a&lt;b&gt;.pcap\" name=\"two \u{fffd}\">\
             <failure message=\"&quot;x&quot; &amp; y\"/></testcase>\n  \
             <testcase classname=\"a&lt;b&gt;.pcap\" name=\"three\"><skipped/></testcase>\n\
             </testsuite>\n"
        );
    }
}
