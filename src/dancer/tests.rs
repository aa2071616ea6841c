//! Properties of the dancer as a whole.

use super::*;

const SMALL: Settings = Settings { width: 320, height: 180, fps: (30, 1), seed: 0 };

fn fnv(picture: &Yuv420) -> u64 {
    let bytes = picture.y.iter().chain(&picture.u).chain(&picture.v);
    bytes.fold(0xCBF2_9CE4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

/// Length from the middle of the shoulders to the middle of the hips, as a fraction of the height.
fn torso(truth: &[[f32; 2]; LANDMARKS], settings: Settings) -> f32 {
    let aspect = settings.width as f32 / settings.height as f32;
    let dx = (truth[11][0] + truth[12][0] - truth[23][0] - truth[24][0]) * 0.5 * aspect;
    let dy = (truth[11][1] + truth[12][1] - truth[23][1] - truth[24][1]) * 0.5;
    (dx * dx + dy * dy).sqrt()
}

#[test]
fn a_frame_is_the_same_bytes_each_time_and_in_any_picture() {
    let (one, two) = (Dancer::new(SMALL), Dancer::new(SMALL));
    let mut reused = Yuv420::new(7, 5);
    two.render_into(91, &mut reused);
    two.render_into(40, &mut reused);
    assert_eq!(fnv(&one.render(40)), fnv(&reused));
    assert_ne!(fnv(&one.render(41)), fnv(&reused));
}

#[test]
fn a_frame_is_the_same_bytes_on_every_machine() {
    // Whoever changes the figure on purpose writes the new value here; a processor or compiler must not.
    assert_eq!(fnv(&Dancer::new(SMALL).render(100)), 0x1CE9_7C52_186C_F434, "bytes of frame 100");
}

#[test]
fn frames_can_be_drawn_by_several_threads() {
    let dancer = Dancer::new(SMALL);
    let alone: Vec<u64> = (0..4).map(|n| fnv(&dancer.render(n))).collect();
    let together: Vec<u64> = std::thread::scope(|s| {
        let handles: Vec<_> = (0..4)
            .map(|n| {
                s.spawn({
                    let d = &dancer;
                    move || fnv(&d.render(n))
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn every_frame_carries_its_number() {
    let dancer = Dancer::new(SMALL);
    for frame in [0, 1, 239, 1_000_000] {
        let p = dancer.render(frame);
        assert_eq!(strip::read(p.width, p.height, &p.y, p.width), Some(frame as u32));
    }
}

#[test]
fn joints_stay_inside_the_frame_clear_of_the_strip() {
    for (width, height) in [(1920, 1080), (640, 480), (360, 640)] {
        let dancer = Dancer::new(Settings { width, height, ..SMALL });
        let top = strip::rows(width, height) as f32 / height as f32;
        for frame in 0..240 {
            for (name, [x, y]) in LANDMARK_NAMES.iter().zip(dancer.truth(frame)) {
                assert!(
                    (0.01..0.99).contains(&x) && (top + 0.01..0.99).contains(&y),
                    "{name} {x} {y} in {frame}"
                );
            }
        }
    }
}

#[test]
fn the_dance_is_smooth_and_closes_its_loop() {
    let dancer = Dancer::new(SMALL);
    let mut moved = 0.0_f32;
    for frame in 0..240 {
        let (a, b) = (dancer.truth(frame), dancer.truth(frame + 1));
        let limit = 0.5 * torso(&a, SMALL);
        for k in 0..LANDMARKS {
            let (dx, dy) = ((b[k][0] - a[k][0]) * 16.0 / 9.0, b[k][1] - a[k][1]);
            let step = (dx * dx + dy * dy).sqrt();
            assert!(step < limit, "{} jumps {step} in frame {frame}", LANDMARK_NAMES[k]);
            moved = moved.max(step);
        }
    }
    assert!(moved > 0.005, "the dancer does dance");
    assert_eq!(dancer.truth(0), dancer.truth(240));
}

#[test]
fn the_frame_rate_does_not_change_the_dance() {
    let slow = Dancer::new(SMALL);
    let fast = Dancer::new(Settings { fps: (60, 1), ..SMALL });
    let ntsc = Dancer::new(Settings { fps: (30_000, 1001), ..SMALL });
    assert_eq!(slow.truth(77), fast.truth(154));
    assert_eq!(ntsc.truth(3), ntsc.truth(3 + PERIOD_S * 30_000));
}

#[test]
fn the_figure_is_drawn_where_its_joints_are() {
    let settings = Settings { width: 640, height: 360, ..SMALL };
    let dancer = Dancer::new(settings);
    for frame in (0..240).step_by(24) {
        let p = dancer.render(frame);
        for k in [0, 13, 14, 25, 26] {
            let [x, y] = dancer.truth(frame)[k];
            let at = (y * 360.0) as usize * 640 + (x * 640.0) as usize;
            let chroma = (y * 180.0) as usize * 320 + (x * 320.0) as usize;
            let luma = p.y[at].abs_diff(dancer.studio.y[at]);
            let colour =
                p.u[chroma].abs_diff(dancer.studio.u[chroma]) + p.v[chroma].abs_diff(dancer.studio.v[chroma]);
            assert!(luma > 8 || colour > 6, "{} of frame {frame} is not on the figure", LANDMARK_NAMES[k]);
        }
    }
}

#[test]
fn degenerate_settings_are_harmless() {
    for (width, height) in [(0, 0), (1, 3000), (3, 2), (17, 33)] {
        let p = Dancer::new(Settings { width, height, fps: (0, 0), seed: 9 }).render(5);
        assert_eq!(p.y.len(), p.width * p.height);
    }
}
