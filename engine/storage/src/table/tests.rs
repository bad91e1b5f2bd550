//! Tests of the table: what is encoded is decoded, what is damaged is refused, the bytes are fixed.

use super::*;

const FILE_BYTES: u64 = 1 << 20;

fn footer() -> Footer {
    Footer {
        first: 7,
        last: 9,
        generation: 3,
        log: 2,
        clustered: true,
        has_postings: true,
        frames_end: 8192,
        next_frame: 1_000,
        last_checksum: 0x1122_3344_5566_7788,
        arrival_ms: 1_700_000_000_123,
        life: 5,
        seed: 0x0102_0304_0506_0708,
        ..Footer::default()
    }
}

fn row(ordinal: u64) -> Row {
    Row {
        key: ShardKey(ordinal * 3 + 1),
        next_index: 1_000_000 + ordinal,
        last_arrival_ms: 1_700_000_000_000 + ordinal,
        first_live_segment: ordinal % 7,
        retention_ms: 86_400_000,
        count: ordinal as u32,
        bytes: ordinal as u32 * 128,
        first_posting: ordinal as u32,
        postings: 1,
        closed: ordinal % 2 == 1,
        damaged: ordinal % 5 == 4,
    }
}

fn posting(ordinal: u64) -> Posting {
    Posting {
        position: 128 + ordinal as u32 * 512,
        bytes: 512,
        first_index: ordinal,
        count: 4,
        base_ms: 1_700_000_000_000,
        checksum: !ordinal,
    }
}

fn table(rows: u64, postings: u64) -> Table {
    let rows = (0..rows).map(row).collect();
    let postings = (0..postings).map(posting).collect();
    Table::new(footer(), rows, postings, FILE_BYTES)
}

/// A whole file with nothing before the table.
fn file(table: &Table) -> Vec<u8> {
    let mut file = vec![0; table.position() as usize];
    file.extend(table.encode());
    assert_eq!(file.len() as u64, FILE_BYTES);
    file
}

fn block(file: &[u8], position: u64) -> &[u8] {
    &file[position as usize..position as usize + BLOCK_BYTES]
}

#[test]
fn every_block_is_whole_at_its_place_alone() {
    for (rows, postings) in [(0, 0), (1, 0), (1_000, 0), (1_000, 1_000)] {
        let table = table(rows, postings);
        let mut file = file(&table);
        let footer = *table.footer();
        let positions = || (table.position()..FILE_BYTES).step_by(BLOCK_BYTES);
        for position in positions() {
            let is_whole =
                |file: &[u8]| footer.has_whole_block(position, block(file, position), FILE_BYTES);
            assert!(is_whole(&file), "{position}");
            file[position as usize + 100] ^= 1;
            assert!(!is_whole(&file), "{position}");
            file[position as usize + 100] ^= 1;
        }
    }
}

/// Looks a row up as a reader does: footer, sparse keys, block of rows.
fn look_up(file: &[u8], key: ShardKey) -> Option<Row> {
    let footer = Footer::decode(block(file, FILE_BYTES - BLOCK_BYTES as u64), FILE_BYTES)?;
    let mut row_block = None;
    for sparse_block in 0..Region::SparseKeys.blocks(footer.count(Region::SparseKeys)) {
        let bytes = block(file, footer.block_position(Region::SparseKeys, sparse_block));
        assert!(Region::SparseKeys.is_whole(bytes, footer.seed));
        let count = footer.count_in_block(Region::SparseKeys, sparse_block);
        let found = find_sparse(bytes, count, key);
        row_block = found.map(|at| sparse_block * 510 + at).or(row_block);
    }
    let bytes = block(file, footer.block_position(Region::Rows, row_block?));
    assert!(Region::Rows.is_whole(bytes, footer.seed));
    find_row(bytes, footer.count_in_block(Region::Rows, row_block?), key)
}

fn check(rows: u64, postings: u64) {
    let table = table(rows, postings);
    assert_eq!(tail_bytes(rows as usize, postings as usize), FILE_BYTES - table.position());
    let file = file(&table);
    let footer = Footer::decode(block(&file, FILE_BYTES - BLOCK_BYTES as u64), FILE_BYTES);
    assert_eq!(footer.as_ref(), Some(table.footer()));
    for ordinal in (0..rows).step_by(1 + rows as usize / 200) {
        assert_eq!(look_up(&file, row(ordinal).key), Some(row(ordinal)));
        assert_eq!(look_up(&file, ShardKey(ordinal * 3)), None);
        assert_eq!(look_up(&file, ShardKey(ordinal * 3 + 2)), None);
    }
    let footer = footer.unwrap();
    for ordinal in 0..postings as usize {
        let at = footer.block_position(Region::Postings, ordinal / 102);
        assert!(Region::Postings.is_whole(block(&file, at), footer.seed));
        assert_eq!(posting_at(block(&file, at), ordinal % 102), posting(ordinal as u64));
    }
}

#[test]
fn what_is_encoded_is_found_around_every_boundary_of_blocks() {
    for rows in [0, 1, 62, 63, 64, 126, 127, 1_000] {
        for postings in [0, 1, 101, 102, 103, 205] {
            check(rows, postings);
        }
    }
}

#[test]
fn a_table_of_more_than_one_sparse_block_is_searched() {
    let rows = 511 * 63 + 5;
    let table = Table::new(footer(), (0..rows).map(row).collect(), Vec::new(), 4 << 20);
    let mut file = vec![0; table.position() as usize];
    file.extend(table.encode());
    let footer = Footer::decode(&file[(4 << 20) - BLOCK_BYTES..], 4 << 20).unwrap();
    assert_eq!(footer.count(Region::SparseKeys), 512);
    let second = block(&file, footer.block_position(Region::SparseKeys, 1));
    assert_eq!(footer.count_in_block(Region::SparseKeys, 1), 2);
    assert_eq!(find_sparse(second, 2, row(510 * 63).key), Some(0));
    assert_eq!(find_sparse(second, 2, row(rows - 1).key), Some(1));
    assert_eq!(find_sparse(second, 2, ShardKey(0)), None);
}

#[test]
fn every_flipped_byte_is_found() {
    let table = table(64, 103);
    let file = file(&table);
    let seed = table.footer().seed;
    let mut regions: Vec<Option<Region>> = vec![Some(Region::Rows); 2];
    regions.extend([Some(Region::Postings); 2]);
    regions.extend([Some(Region::SparseKeys), None]);
    for (ordinal, region) in regions.into_iter().enumerate() {
        let bytes = block(&file, table.position() + (ordinal * BLOCK_BYTES) as u64);
        for at in 0..BLOCK_BYTES {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x40;
            let is_covered = at < region.map_or(128, |region| region.checksum_at() + 8);
            let is_whole = match region {
                Some(region) => region.is_whole(&damaged, seed),
                None => Footer::decode(&damaged, FILE_BYTES).is_some(),
            };
            assert_eq!(is_whole, !is_covered, "block {ordinal}, byte {at}");
        }
    }
}

#[test]
fn a_block_of_another_writing_or_region_is_refused() {
    let table = table(10, 10);
    let file = file(&table);
    let bytes = block(&file, table.position());
    let seed = table.footer().seed;
    assert!(Region::Rows.is_whole(bytes, seed));
    assert!(!Region::Rows.is_whole(bytes, seed + 1));
    let postings = block(&file, u64::from(table.footer().postings_position));
    assert!(Region::Postings.is_whole(postings, seed));
    assert!(!Region::SparseKeys.is_whole(postings, seed));
}

#[test]
fn a_footer_that_does_not_add_up_is_refused() {
    let whole = table(100, 100);
    let mut bytes = vec![0; BLOCK_BYTES];
    let mut check = |change: fn(&mut Footer), file_bytes: u64, expected: bool| {
        let mut footer = *whole.footer();
        change(&mut footer);
        footer.encode(&mut bytes);
        assert_eq!(Footer::decode(&bytes, file_bytes).is_some(), expected);
    };
    check(|_| (), FILE_BYTES, true);
    check(|_| (), FILE_BYTES * 2, false);
    check(|_| (), BLOCK_BYTES as u64, false);
    check(|footer| footer.row_count = u32::MAX, FILE_BYTES, false);
    check(|footer| footer.posting_count += 200, FILE_BYTES, false);
    check(|footer| footer.frames_end = footer.rows_position + 1, FILE_BYTES, false);
    check(|footer| footer.first = footer.last + 1, FILE_BYTES, false);
}

#[test]
fn any_bytes_are_refused_without_a_panic() {
    let whole = table(3, 3);
    let bytes = whole.encode();
    let mut state = 7_u64;
    for _ in 0..20_000 {
        let mut block = bytes[bytes.len() - BLOCK_BYTES..].to_vec();
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            block[(state >> 33) as usize % 128] = (state >> 25) as u8;
        }
        if let Some(footer) = Footer::decode(&block, FILE_BYTES) {
            assert_eq!(&footer, whole.footer());
        }
    }
}

/// The bytes of FORMAT.md. If this fails, the format has changed: old folders become unreadable.
#[test]
fn the_bytes_are_those_of_the_golden_file() {
    let golden: &[u8] = include_bytes!("../../golden/table");
    let table = table(65, 103);
    assert!(golden == table.encode(), "the table's bytes differ from golden/table");
    let footer = Footer::decode(&golden[golden.len() - BLOCK_BYTES..], FILE_BYTES);
    assert_eq!(footer.as_ref(), Some(table.footer()));
    assert!(Region::Rows.is_whole(&golden[..BLOCK_BYTES], footer.unwrap().seed));
    assert_eq!(row_at(&golden[BLOCK_BYTES..], 1), row(64));
}
