//! What all fuzz targets share.

use std::fs;
use std::path::Path;

use antiphon::doors::Door;

/// Writes a door's seeds into the folder that `ANTIPHON_SEEDS` names, where the fuzzer then finds them.
pub fn sow(door: Door) {
    let Some(folder) = std::env::var_os("ANTIPHON_SEEDS") else { return };
    for (number, seed) in (door.seeds)().into_iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number}"));
        fs::write(&path, seed).unwrap_or_else(|why| panic!("cannot write {}: {why}", path.display()));
    }
}
