//! A table without lines: the first column to the left, the others to the right.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// The rows under their header, each line one space in and without spaces at its end. A column whose
/// header is empty holds remarks and stays to the left.
pub(super) fn grid(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.clone());
    }
    for (place, title) in header.iter().enumerate() {
        let column = table.column_mut(place).expect("a column for each title");
        if place > 0 && !title.is_empty() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Milliseconds in three significant places, in four places behind the point at most.
pub(super) fn ms(ns: u64) -> String {
    let ms = ns as f64 / 1e6;
    match ms {
        ms if ms >= 99.95 => format!("{ms:.0}"),
        ms if ms >= 9.995 => format!("{ms:.1}"),
        ms if ms >= 0.9995 => format!("{ms:.2}"),
        ms if ms >= 0.099_95 => format!("{ms:.3}"),
        ms => format!("{ms:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_titles() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rows = [row(&["offered", "60,000", "a remark"]), row(&["é", "1", ""])];
        let text = grid(&["what", "records/s", ""], &rows);
        let expected = " what     records/s\n offered     60,000  a remark\n é                1\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn milliseconds_have_three_places() {
        let check = |ns: u64, expected: &str| assert_eq!(ms(ns), expected);
        check(123_456_789, "123");
        check(12_345_678, "12.3");
        check(1_234_567, "1.23");
        check(999_999, "1.00");
        check(123_456, "0.123");
        check(2_345, "0.0023");
    }
}
