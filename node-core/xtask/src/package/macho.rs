//! One program for several processors: the format in which Macs keep them side by side.
//!
//! A head names for each processor where in the file its program lies, on a page boundary. Nothing
//! of the programs is changed, so their signatures stay good.

use anyhow::{Context, Result, ensure};

/// Begins a file with several programs, in big-endian order (`mach-o/fat.h`).
const FAT: u32 = 0xcafe_babe;

/// Begins a program of 64 bits, in the order of both processors (`mach-o/loader.h`).
const THIN: u32 = 0xfeed_facf;

/// Programs begin on pages of this size, 2 to the 14th, the larger of the two processors'.
const ALIGN: u32 = 14;

/// Joins programs for one processor each.
///
/// # Errors
/// One of them is no such program, or two are for the same.
pub(super) fn join(programs: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut slices = Vec::new();
    for program in programs {
        slices.push((processor(program)?, program));
    }
    slices.sort();
    ensure!(slices.windows(2).all(|pair| pair[0].0 != pair[1].0), "two for one processor");
    let mut file = [FAT, u32::try_from(slices.len())?].map(u32::to_be_bytes).concat();
    let page = 1_usize << ALIGN;
    let mut offset = page;
    for ((kind, variant), program) in &slices {
        let place = [u32::try_from(offset)?, u32::try_from(program.len())?, ALIGN];
        file.extend(
            [[*kind, *variant].as_slice(), &place].concat().iter().flat_map(|n| n.to_be_bytes()),
        );
        offset = (offset + program.len()).next_multiple_of(page);
    }
    for (_, program) in slices {
        file.resize(file.len().next_multiple_of(page), 0);
        file.extend(program);
    }
    Ok(file)
}

/// The processor that a program is for, and the variant of it.
fn processor(program: &[u8]) -> Result<(u32, u32)> {
    let number = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(program.get(at..at + 4)?.try_into().ok()?))
    };
    ensure!(number(0) == Some(THIN), "this is no program for a Mac");
    number(4).zip(number(8)).context("a program that ends in its head")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(kind: u32, body: u8, len: usize) -> Vec<u8> {
        let mut program = [THIN, kind, 3].map(u32::to_le_bytes).concat();
        program.resize(len, body);
        program
    }

    #[test]
    fn each_program_lies_whole_on_a_page() {
        let (arm, intel) = (program(0x0100_000c, 1, 40_000), program(0x0100_0007, 2, 100));
        let file = join(&[arm.clone(), intel.clone()]).unwrap();
        let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!((number(0), number(4)), (FAT, 2));
        let mut found = Vec::new();
        for head in [8, 28] {
            let (offset, len) = (number(head + 8) as usize, number(head + 12) as usize);
            assert_eq!((offset % 16_384, number(head + 16)), (0, 14));
            found.push((number(head), file[offset..offset + len].to_vec()));
        }
        assert_eq!(found, [(0x0100_0007, intel), (0x0100_000c, arm)]);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(join(&[b"\x7fELF".to_vec()]).is_err());
        assert!(join(&[program(7, 0, 12), program(7, 1, 12)]).is_err());
        assert!(join(&[THIN.to_le_bytes().to_vec()]).is_err());
    }
}
