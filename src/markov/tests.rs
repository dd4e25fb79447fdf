use super::*;

const TWO: NonZero<usize> = NonZero::new(2).expect("not zero");

/// A figure of four notes, over and over.
fn ostinato(notes: usize) -> Vec<NoteClasses> {
    let figure = [[20, 60, 15, 16], [20, 64, 15, 12], [0, 67, 30, 12], [10, 62, 8, 20]];
    figure.into_iter().cycle().take(notes).map(NoteClasses).collect()
}

/// Notes without any order, from a fixed sequence.
fn noise(notes: usize, mut seed: u64) -> Vec<NoteClasses> {
    let mut draw = |classes: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from((seed >> 33) % classes as u64).expect("a class")
    };
    (0..notes).map(|_| NoteClasses(Attribute::ALL.map(|attribute| draw(attribute.classes())))).collect()
}

#[test]
fn the_probabilities_of_all_classes_sum_to_one_in_every_context() {
    let (training, piece) = (noise(400, 1), [ostinato(30), noise(30, 2)].concat());
    for attribute in Attribute::ALL {
        let mut chain = Chain::train(attribute, &[&training, &ostinato(100)], &[&ostinato(40)], TWO);
        let mut memory = chain.memory();
        for (at, &note) in piece.iter().enumerate() {
            let history = History::of(&piece[..at]);
            let classes = (0..=u8::MAX).take(attribute.classes());
            let all: Vec<f32> = classes.map(|class| chain.probability(&memory, &history, note, class)).collect();
            let sum: f32 = all.iter().sum();
            assert!((sum - 1.0).abs() < 1e-4, "{} {at}: {sum}", attribute.name());
            assert!(all.iter().all(|&probability| probability > 0.0), "nothing is impossible");
            chain.remember(&mut memory, &history, note);
        }
    }
}

#[test]
fn the_probabilities_of_all_classes_are_those_that_the_bits_are_counted_of() {
    let piece = [ostinato(30), noise(30, 2)].concat();
    for attribute in Attribute::ALL {
        let chain = Chain::train(attribute, &[&noise(400, 1), &ostinato(100)], &[&ostinato(40)], TWO);
        let rows = &chain.log_probabilities(&[&piece], TWO)[0];
        let rows = || rows.chunks_exact(attribute.classes());
        let sums: Vec<f32> = rows().map(|row| row.iter().map(|logit| logit.exp()).sum()).collect();
        assert!(sums.len() == 60 && sums.iter().all(|sum| (sum - 1.0).abs() < 1e-4), "{} {sums:?}", attribute.name());
        let came = rows().zip(&piece).map(|(row, note)| f64::from(row[usize::from(note.of(attribute))]));
        let bits = -came.sum::<f64>() / std::f64::consts::LN_2;
        let counted = chain.bits(&[&piece], TWO)[0].with_piece;
        assert!((bits - counted).abs() < 1e-3, "{}: {bits} and {counted}", attribute.name());
    }
}

#[test]
fn what_always_goes_on_in_the_same_way_costs_next_to_nothing() {
    let (training, tuning, piece) = (ostinato(400), ostinato(2000), ostinato(100));
    for attribute in Attribute::ALL {
        let bits = Chain::train(attribute, &[&training], &[&tuning], TWO).bits(&[&piece], TWO)[0].with_piece / 100.0;
        assert!(bits < 0.2, "{}: {bits} bits a note", attribute.name());
    }
}

#[test]
fn a_piece_teaches_its_own_figures() {
    let (strange, piece) = (noise(300, 3), ostinato(440));
    for attribute in Attribute::ALL {
        let chain = Chain::train(attribute, &[&strange], &[&strange, &piece], TWO);
        let bits = chain.bits(&[&piece[..40], &piece], TWO);
        let [begin, whole] = [bits[0].with_piece, bits[1].with_piece];
        let (begin, rest) = (begin / 40.0, (whole - begin) / 400.0);
        assert!(rest < begin / 5.0, "{}: {begin} bits a note at first, then {rest}", attribute.name());
        assert!(bits[1].trained_only > 3.0 * whole, "{}: training alone is no help", attribute.name());
    }
}

#[test]
fn a_chain_that_learnt_nothing_pays_for_naming_the_class() {
    let note = NoteClasses([0, 60, 9, 16]);
    for attribute in Attribute::ALL {
        let chain = Chain::new(attribute);
        let classes = f64::from(u32::try_from(attribute.classes()).expect("few"));
        assert!((chain.bits(&[&[note]], TWO)[0].with_piece - classes.log2()).abs() < 1e-4);
    }
}

#[test]
fn a_transposed_piece_is_known() {
    let tune: Vec<_> =
        noise(60, 5).into_iter().map(|n| NoteClasses([20, 40 + n.of(Attribute::Key) % 24, 15, 16])).collect();
    let up: Vec<_> = tune.iter().map(|note| NoteClasses([20, note.of(Attribute::Key) + 5, 15, 16])).collect();
    let chain = Chain::train(Attribute::Key, &[&tune.repeat(3)], &[&up], TWO);
    let other: Vec<_> =
        noise(60, 6).into_iter().map(|n| NoteClasses([20, 40 + n.of(Attribute::Key) % 24, 15, 16])).collect();
    let bits = chain.bits(&[&up, &other], TWO);
    assert!(bits[0].trained_only < bits[1].trained_only / 2.0, "{bits:?}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (training, tuning, piece) = (noise(300, 7), ostinato(90), noise(50, 8));
    let bits = |threads: usize| {
        let threads = NonZero::new(threads).expect("not zero");
        let chain = Chain::train(Attribute::Key, &[&training, &tuning], &[&tuning, &piece], threads);
        chain.bits(&[&piece, &tuning], threads)
    };
    assert_eq!(bits(1), bits(3));
}
