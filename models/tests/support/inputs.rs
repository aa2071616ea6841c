//! Reproducible images, the same as in `tools/golden/networks.py`: change both or neither.
//!
//! Each is a formula in double precision, row-major RGB between 0 and 1, so that no image has to be kept.

/// One pixel of an image: x and y as fractions of its size, and its place, to RGB.
type Pixel = dyn Fn(f64, f64, usize) -> [f64; 3];

/// An image of `side` x `side` x 3, from `low` to 1. Names: noise, gradient, waves, standing, arms-up, noisy.
pub(crate) fn image(name: &str, side: usize, low: f64) -> Vec<f32> {
    let pixel = pixel(name, side);
    let mut values = Vec::with_capacity(side * side * 3);
    for row in 0..side {
        for column in 0..side {
            let centre = |at: usize| (at as f64 + 0.5) / side as f64;
            let rgb = pixel(centre(column), centre(row), row * side + column);
            values.extend(rgb.map(|value| (value * (1.0 - low) + low) as f32));
        }
    }
    values
}

fn pixel(name: &str, side: usize) -> Box<Pixel> {
    match name {
        "noise" => Box::new(|_, _, place| noise(place)),
        "gradient" => Box::new(|x, y, _| [x, y, (x + 1.0 - y) / 2.0]),
        "waves" => Box::new(|x, y, _| {
            [9.0 * x + 4.0 * y, 13.0 * y - 5.0 * x + 1.0, 21.0 * x * y + 2.0]
                .map(|phase| 0.5 + 0.5 * phase.sin())
        }),
        "standing" => figure(side, [(0.36, 0.43), (0.64, 0.43)], [(0.34, 0.55), (0.66, 0.55)], 0.0),
        "arms-up" => figure(side, [(0.33, 0.25), (0.67, 0.25)], [(0.36, 0.12), (0.64, 0.12)], 0.1),
        "noisy" => {
            let figure = figure(side, [(0.30, 0.33), (0.66, 0.42)], [(0.18, 0.33), (0.72, 0.52)], -0.15);
            Box::new(move |x, y, place| {
                let (figure, noise) = (figure(x, y, place), noise(place));
                std::array::from_fn(|channel| 0.8 * figure[channel] + 0.2 * noise[channel])
            })
        }
        other => panic!("no image `{other}`"),
    }
}

/// Uniform noise from an integer hash (murmur3's finaliser) of each value's place.
fn noise(place: usize) -> [f64; 3] {
    std::array::from_fn(|channel| {
        let mut hash = ((place * 3 + channel) as u32).wrapping_mul(0x9E37_79B1).wrapping_add(1);
        hash = (hash ^ hash >> 16).wrapping_mul(0x85EB_CA6B);
        hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
        hash ^= hash >> 16;
        f64::from(hash >> 8) / f64::from(1 << 24)
    })
}

/// From, to, radius, colour.
type Capsule = ((f64, f64), (f64, f64), f64, [f64; 3]);

const SKIN: [f64; 3] = [0.87, 0.67, 0.55];
const HAIR: [f64; 3] = [0.2, 0.13, 0.1];
const SHIRT: [f64; 3] = [0.75, 0.2, 0.2];
const TROUSERS: [f64; 3] = [0.2, 0.25, 0.45];
const SHOE: [f64; 3] = [0.1; 3];

/// A person of capsules in front of a wall, leaning to the right by `lean`. Elbows and wrists: left and right
/// of the image.
fn figure(side: usize, elbows: [(f64, f64); 2], wrists: [(f64, f64); 2], lean: f64) -> Box<Pixel> {
    let parts: [Capsule; 19] = [
        ((0.44, 0.55), (0.43, 0.73), 0.042, TROUSERS),
        ((0.56, 0.55), (0.57, 0.73), 0.042, TROUSERS),
        ((0.43, 0.73), (0.425, 0.90), 0.034, TROUSERS),
        ((0.57, 0.73), (0.575, 0.90), 0.034, TROUSERS),
        ((0.425, 0.92), (0.40, 0.935), 0.022, SHOE),
        ((0.575, 0.92), (0.60, 0.935), 0.022, SHOE),
        ((0.45, 0.33), (0.46, 0.53), 0.06, SHIRT),
        ((0.55, 0.33), (0.54, 0.53), 0.06, SHIRT),
        ((0.50, 0.33), (0.50, 0.53), 0.06, SHIRT),
        ((0.41, 0.31), elbows[0], 0.032, SHIRT),
        ((0.59, 0.31), elbows[1], 0.032, SHIRT),
        (elbows[0], wrists[0], 0.024, SKIN),
        (elbows[1], wrists[1], 0.024, SKIN),
        ((0.50, 0.24), (0.50, 0.29), 0.028, SKIN),
        ((0.50, 0.155), (0.50, 0.165), 0.066, HAIR),
        ((0.50, 0.175), (0.50, 0.20), 0.056, SKIN),
        ((0.478, 0.178), (0.478, 0.178), 0.008, SHOE),
        ((0.522, 0.178), (0.522, 0.178), 0.008, SHOE),
        ((0.485, 0.222), (0.515, 0.222), 0.006, SHIRT),
    ];
    let parts = parts.map(|((ax, ay), (bx, by), radius, colour)| {
        ((ax + lean * (0.9 - ay), ay), (bx + lean * (0.9 - by), by), radius, colour)
    });
    Box::new(move |x, y, _| {
        let wall = [0.70 + 0.1 * y, 0.72 + 0.05 * x, 0.70 - 0.1 * y];
        let drawn = parts.iter().fold(wall, |under, part| over(part, (x, y), side, under));
        drawn.map(|value| value.clamp(0.0, 1.0))
    })
}

/// A capsule over what is under it: covering smoothly at its border, darker towards it.
fn over(
    &((ax, ay), (bx, by), radius, colour): &Capsule,
    (x, y): (f64, f64),
    side: usize,
    under: [f64; 3],
) -> [f64; 3] {
    let (dx, dy) = (bx - ax, by - ay);
    let along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(1e-9)).clamp(0.0, 1.0);
    let distance = ((x - ax - along * dx).powi(2) + (y - ay - along * dy).powi(2)).sqrt();
    let cover = ((radius - distance) * side as f64 + 0.5).clamp(0.0, 1.0);
    let shade = 1.0 - 0.35 * (distance / radius).powi(2);
    std::array::from_fn(|channel| under[channel] * (1.0 - cover) + colour[channel] * shade * cover)
}
