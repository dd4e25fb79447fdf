//! Matrix products: `out = a x b`, with `b` packed into panels once and used many times.
//!
//! On a machine with AVX-512 the products run in a kernel of our own: 8 rows by 32 columns are accumulated in 16
//! registers while the panel (k x 32) streams past. It keeps thin products (16 rows, as in one time step) fast, where
//! general libraries lose most of their time to packing. Elsewhere the crate `gemm` does the work.

#![expect(
    unsafe_code,
    reason = "vector intrinsics and the crate gemm take raw pointers; every call is bounded by asserts"
)]
#![expect(clippy::cast_possible_wrap, reason = "strides of matrices that fit in memory fit an isize")]

use crate::simd;

/// Columns of a panel: two vectors of 16.
const PANEL: usize = 32;
/// Floats of a cache line.
const LINE: usize = 16;
/// Rows that are accumulated at once.
const TILE_ROWS: usize = 8;
/// Depth that is taken at once: a panel of it is 32 KB and stays in the first-level cache.
const DEPTH: usize = 256;
/// Rows of `a` that are packed at once: 128 KB at full depth, for the second-level cache.
const BLOCK_ROWS: usize = 128;

/// A matrix to read: `rows x cols` with any strides.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix.
    ///
    /// # Panics
    /// When `data` is shorter than `rows x cols`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert!(data.len() >= rows * cols, "matrix of {rows} x {cols} in {} floats", data.len());
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The same matrix mirrored at its diagonal; nothing is moved.
    pub fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// The rows `from .. from + rows`.
    fn rows_from(self, from: usize, rows: usize) -> Self {
        Self { data: &self.data[from * self.row_stride..], rows, ..self }
    }
}

/// The right-hand side of a product, packed for the kernel.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    depth: usize,
    cols: usize,
    /// With AVX-512: (panel, depth, 32), padded with zeros. Else the plain row-major matrix. From `begin` on.
    data: Vec<f32>,
    /// Where a cache line begins: a vector that lies across two lines costs two reads.
    begin: usize,
}

impl Packed {
    /// Takes over the matrix; its memory is kept from one call to the next.
    pub fn pack(&mut self, b: View<'_>) {
        self.depth = b.rows;
        self.cols = b.cols;
        let width = if simd::has_avx512() { PANEL } else { b.cols };
        let panels = b.cols.div_ceil(width);
        let len = panels * b.rows * width;
        self.data.resize(len + LINE, 0.0);
        self.begin = self.data.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        let panels = &mut self.data[self.begin..self.begin + len];
        for (index, panel) in panels.chunks_exact_mut(b.rows * width).enumerate() {
            let first = index * width;
            let used = width.min(b.cols - first);
            if b.col_stride == 1 {
                for (row, line) in panel.chunks_exact_mut(width).enumerate() {
                    let start = row * b.row_stride + first;
                    line[..used].copy_from_slice(&b.data[start..start + used]);
                    line[used..].fill(0.0);
                }
            } else {
                for (col, from) in (first..first + used).enumerate() {
                    let column = &b.data[from * b.col_stride..];
                    for (row, line) in panel.chunks_exact_mut(width).enumerate() {
                        line[col] = column[row * b.row_stride];
                    }
                }
                for line in panel.chunks_exact_mut(width) {
                    line[used..].fill(0.0);
                }
            }
        }
    }
}

/// Room for packed blocks of the left-hand side, kept between calls.
#[derive(Clone, Debug, Default)]
pub struct Workspace(Vec<f32>);

/// `out = a x b`, or `out += a x b` if `add`; `out` is row-major with `b`'s columns.
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply(out: &mut [f32], a: View<'_>, b: &Packed, add: bool, workspace: &mut Workspace) {
    assert_eq!(a.cols, b.depth, "the inner sizes of the product differ");
    assert!(out.len() >= a.rows * b.cols, "the product does not fit its place");
    if a.rows == 0 || b.cols == 0 {
        return;
    }
    assert!(a.data.len() > (a.rows - 1) * a.row_stride + (a.cols - 1) * a.col_stride, "the left side is too short");
    #[cfg(target_arch = "x86_64")]
    if simd::has_avx512() {
        multiply_panels(out, a, b, add, workspace);
        return;
    }
    let _ = workspace;
    // SAFETY: shapes and lengths were checked above; `out` is exclusive, so it overlaps neither side.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out.as_mut_ptr(),
            1,
            b.cols as isize,
            add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data[b.begin..].as_ptr(),
            1,
            b.cols as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(target_arch = "x86_64")]
fn multiply_panels(out: &mut [f32], a: View<'_>, b: &Packed, add: bool, workspace: &mut Workspace) {
    workspace.0.resize(BLOCK_ROWS * DEPTH, 0.0);
    for from_depth in (0..b.depth).step_by(DEPTH) {
        let depth = DEPTH.min(b.depth - from_depth);
        let add = add || from_depth > 0;
        for from_row in (0..a.rows).step_by(BLOCK_ROWS) {
            let rows = BLOCK_ROWS.min(a.rows - from_row);
            simd::widest(
                #[inline(always)]
                || pack_rows(&mut workspace.0, a.rows_from(from_row, rows), from_depth, depth),
            );
            for (index, panel) in
                b.data[b.begin..].chunks_exact(b.depth * PANEL).take(b.cols.div_ceil(PANEL)).enumerate()
            {
                let first_col = index * PANEL;
                let cols = PANEL.min(b.cols - first_col);
                let panel = &panel[from_depth * PANEL..(from_depth + depth) * PANEL];
                for (tile_index, tile) in
                    workspace.0.chunks_exact(depth * TILE_ROWS).take(rows.div_ceil(TILE_ROWS)).enumerate()
                {
                    let row = from_row + tile_index * TILE_ROWS;
                    let tile_rows = TILE_ROWS.min(a.rows - row);
                    let place = &mut out[row * b.cols + first_col..(row + tile_rows - 1) * b.cols + first_col + cols];
                    // SAFETY: AVX-512 was found; `tile` is depth x 8, `panel` is depth x 32, and `place` reaches
                    // from the tile's first to its last element, rows being b.cols apart.
                    unsafe { accumulate(place, tile, panel, [tile_rows, cols, b.cols], add) };
                }
            }
        }
    }
}

/// Packs rows of `a` as (tile, depth, 8), padded with zeros.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn pack_rows(into: &mut [f32], a: View<'_>, from_depth: usize, depth: usize) {
    for (index, tile) in into.chunks_exact_mut(depth * TILE_ROWS).take(a.rows.div_ceil(TILE_ROWS)).enumerate() {
        let first = index * TILE_ROWS;
        let rows = TILE_ROWS.min(a.rows - first);
        if rows < TILE_ROWS {
            tile.fill(0.0);
        }
        if a.row_stride == 1 {
            for (k, line) in tile.chunks_exact_mut(TILE_ROWS).enumerate() {
                let start = (from_depth + k) * a.col_stride + first;
                line[..rows].copy_from_slice(&a.data[start..start + rows]);
            }
        } else {
            for row in 0..rows {
                let line = &a.data[(first + row) * a.row_stride + from_depth * a.col_stride..];
                for (to, from) in tile[row..].iter_mut().step_by(TILE_ROWS).zip(line.iter().step_by(a.col_stride)) {
                    *to = *from;
                }
            }
        }
    }
}

/// One tile: `place (+)= tile x panel`, `shape` being rows, columns and the distance of rows in `place`.
///
/// # Safety
/// The machine has AVX-512F; `tile` holds depth x 8 and `panel` depth x 32 floats; `place` holds
/// `(rows - 1) * stride + cols` floats, with rows at most 8 and cols at most 32.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn accumulate(place: &mut [f32], tile: &[f32], panel: &[f32], shape: [usize; 3], add: bool) {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps,
        _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    };
    let [rows, cols, stride] = shape;
    let depth = panel.len() / PANEL;
    let (tile, panel, place) = (tile.as_ptr(), panel.as_ptr(), place.as_mut_ptr());
    for row in 0..rows {
        // The rows of the result lie far apart, and nearly all are in no near cache: they are fetched meanwhile.
        for half in [0, 16] {
            _mm_prefetch::<_MM_HINT_T0>(place.wrapping_add(row * stride + half).cast());
        }
    }
    let mut sums = [[_mm512_setzero_ps(); 2]; TILE_ROWS];
    for k in 0..depth {
        // SAFETY: k < depth, and the caller promised depth x 8 and depth x 32 floats.
        unsafe {
            let left = _mm512_loadu_ps(panel.add(k * PANEL));
            let right = _mm512_loadu_ps(panel.add(k * PANEL + 16));
            for (row, sum) in sums.iter_mut().enumerate() {
                let value = _mm512_set1_ps(*tile.add(k * TILE_ROWS + row));
                sum[0] = _mm512_fmadd_ps(value, left, sum[0]);
                sum[1] = _mm512_fmadd_ps(value, right, sum[1]);
            }
        }
    }
    let mask = |used: usize| if used >= 16 { 0xffff } else { (1u16 << used) - 1 };
    let masks = [mask(cols), mask(cols.saturating_sub(16))];
    for (row, sum) in sums.iter().enumerate().take(rows) {
        for (half, (&mask, &sum)) in masks.iter().zip(sum).enumerate() {
            if mask != 0 {
                // SAFETY: the mask keeps the access inside the row, which the caller promised to exist.
                unsafe {
                    let at = place.add(row * stride + half * 16);
                    let sum = if add { _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, at)) } else { sum };
                    _mm512_mask_storeu_ps(at, mask, sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Draws;

    fn random(draws: &mut Draws, len: usize) -> Vec<f32> {
        (0..len).map(|_| draws.between(-1.0, 1.0)).collect()
    }

    #[test]
    fn every_shape_and_every_mirroring_gives_the_plain_product() {
        let mut draws = Draws::new(1, 0);
        let (mut packed, mut workspace) = (Packed::default(), Workspace::default());
        for (m, k, n) in [(1, 1, 1), (7, 5, 31), (8, 256, 32), (16, 300, 100), (130, 515, 33), (3, 64, 16)] {
            let (a, b) = (random(&mut draws, m * k), random(&mut draws, k * n));
            for mirrored in 0..4 {
                let a = if mirrored & 1 == 0 { View::new(&a, m, k) } else { View::new(&a, k, m).transposed() };
                let b = if mirrored & 2 == 0 { View::new(&b, k, n) } else { View::new(&b, n, k).transposed() };
                packed.pack(b);
                let mut out = vec![1.0; m * n];
                multiply(&mut out, a, &packed, true, &mut workspace);
                for (row, col) in [(0, 0), (m - 1, n - 1), (m / 2, n / 2), (0, n - 1), (m - 1, 0)] {
                    let at = |v: View<'_>, r: usize, c: usize| f64::from(v.data[r * v.row_stride + c * v.col_stride]);
                    let expected: f64 = 1.0 + (0..k).map(|i| at(a, row, i) * at(b, i, col)).sum::<f64>();
                    let found = f64::from(out[row * n + col]);
                    assert!((found - expected).abs() < 1e-4, "{m}x{k}x{n} at {row},{col}: {found}, not {expected}");
                }
                multiply(&mut out, a, &packed, false, &mut workspace);
                let expected: f64 =
                    (0..k).map(|i| f64::from(a.data[i * a.col_stride]) * f64::from(b.data[i * b.row_stride])).sum();
                assert!((f64::from(out[0]) - expected).abs() < 1e-4);
            }
        }
    }
}
