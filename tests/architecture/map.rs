//! The doc table of `src/lib.rs`, read as the map it is.

use std::collections::BTreeMap;

/// One row: a folder (or a file of its own) and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) floor: u8,
    pub(crate) folder: String,
    /// The foreign crates that live here.
    pub(crate) crates: Vec<String>,
}

/// The map of the house.
#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) rows: Vec<Row>,
}

impl Map {
    /// Reads the rows `//! | floor | folder | what | crates |`; others are no rows.
    pub(crate) fn parse(lib: &str) -> Self {
        Self { rows: lib.lines().filter_map(row).collect() }
    }

    pub(crate) fn floor(&self, folder: &str) -> Option<u8> {
        self.rows.iter().find(|row| row.folder == folder).map(|row| row.floor)
    }

    pub(crate) fn top_floor(&self) -> u8 {
        self.rows.iter().map(|row| row.floor).max().unwrap_or_default()
    }

    /// Gives every fenced crate with the folders that it lives in.
    pub(crate) fn fences(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut fences: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            for name in &row.crates {
                fences.entry(name).or_default().push(&row.folder);
            }
        }
        fences
    }
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix("//! |")?.split('|').map(str::trim).collect();
    let [floor, folder, _what, crates, ..] = cells.as_slice() else {
        return None;
    };
    Some(Row {
        floor: floor.parse().ok()?,
        folder: folder.trim_matches('`').to_owned(),
        crates: crates.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
    })
}

#[test]
fn the_table_is_read_with_its_floors_and_fences() {
    let map = Map::parse(
        "//! The map.\n\
         //! | floor | folder | what | crates |\n\
         //! |---|---|---|---|\n\
         //! | 2 | `oma` | documents, `in` words | `quick_xml`, `serde_json` |\n\
         //! | 1 | `payload` | bodies | `quick_xml` |\n\
         //! | 0 | `ids` | words | |\n",
    );
    assert_eq!(map.rows.len(), 3);
    assert_eq!((map.floor("oma"), map.floor("ids"), map.floor("x")), (Some(2), Some(0), None));
    assert_eq!(map.top_floor(), 2);
    assert_eq!(map.fences()["quick_xml"], ["oma", "payload"]);
    assert_eq!(map.fences()["serde_json"], ["oma"]);
}
