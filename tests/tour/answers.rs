//! The README's table of SIP answers against the one that the bridge works by.

use chatbridge::bridge::sip_outcomes::final_response;

const README: &str = include_str!("../../README.md");

/// A row of the README: which codes, and the event.
type Row<'a> = (Vec<&'a str>, &'a str);

#[test]
fn the_readme_says_of_every_code_what_the_bridge_does() {
    let rows = rows();
    for code in 100..=699 {
        let told = final_response(code, false).outcome;
        let event = told.event().or(told.event_when_spent());
        let event = event.map_or("none".to_owned(), |event| format!("`{}`", event.as_str()));
        assert_eq!(row_of(&rows, code), event, "{code}");
    }
}

/// Finds what the README says of a code: in a row that names it, or else in that of its class.
fn row_of<'a>(rows: &[Row<'a>], code: u16) -> &'a str {
    let (exact, class) = (code.to_string(), format!("other {}xx", code / 100));
    let whole = format!("{}xx", code / 100);
    let named = |wanted: &str| rows.iter().find(|(codes, _)| codes.contains(&wanted));
    let row = named(&exact).or_else(|| named(&class)).or_else(|| named(&whole));
    row.unwrap_or_else(|| panic!("the README has no row for {code}")).1
}

/// Reads the table under "The INVITE is answered".
fn rows() -> Vec<Row<'static>> {
    let table = README.lines().skip_while(|line| !line.starts_with("| The INVITE is answered"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let rows = rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0].split(", ").collect(), cells[1])
    });
    rows.collect()
}
