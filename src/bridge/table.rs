//! Prints rows of cells as a Markdown table with aligned columns.

use std::fmt;

/// Writes `rows` under `heads`, every column as wide as its widest cell.
pub(super) fn print<const N: usize>(
    out: &mut dyn fmt::Write,
    heads: [&str; N],
    rows: &[[String; N]],
) -> fmt::Result {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or_default()
    });
    line(out, &heads.map(str::to_owned), &widths)?;
    line(out, &widths.map(|width| "-".repeat(width)), &widths)?;
    rows.iter().try_for_each(|row| line(out, row, &widths))
}

fn line<const N: usize>(
    out: &mut dyn fmt::Write,
    cells: &[String; N],
    widths: &[usize; N],
) -> fmt::Result {
    for (cell, &width) in cells.iter().zip(widths) {
        write!(out, "| {cell:width$} ")?;
    }
    out.write_str("|\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = String::new();
        let rows = [["486".to_owned(), "Declined".to_owned()], ["5xx".to_owned(), "–".to_owned()]];
        assert_eq!(print(&mut out, ["Code", "Event"], &rows), Ok(()));
        assert_eq!(
            out,
            "| Code | Event    |\n| ---- | -------- |\n| 486  | Declined |\n| 5xx  | –        |\n"
        );
    }
}
