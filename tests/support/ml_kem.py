"""ML-KEM-512 decapsulation from the text of FIPS 203, for published examples only.

The product uses a library, and not this parameter set. Slow and not constant-time: test data only.

Sources
    FIPS 203 (August 2024), algorithms 5 to 18; parameter set ML-KEM-512 of table 2.
"""

from hashlib import sha3_256, sha3_512, shake_128, shake_256

Q, N, K = 3329, 256, 2
ETA_SECRET, ETA_NOISE = 3, 2
BITS_U, BITS_V = 10, 4

Polynomial = list[int]


def _reversed_bits(number: int) -> int:
    return int(f"{number:07b}"[::-1], 2)


ZETAS = [pow(17, _reversed_bits(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * _reversed_bits(i) + 1, Q) for i in range(128)]


def _unpack(octets: bytes, bits: int) -> Polynomial:
    value = int.from_bytes(octets, "little")
    return [value >> (bits * i) & (1 << bits) - 1 for i in range(len(octets) * 8 // bits)]


def _pack(numbers: Polynomial, bits: int) -> bytes:
    value = sum(number << (bits * i) for i, number in enumerate(numbers))
    return value.to_bytes(len(numbers) * bits // 8, "little")


def _compress(numbers: Polynomial, bits: int) -> Polynomial:
    return [(2 * (x << bits) + Q) // (2 * Q) % (1 << bits) for x in numbers]


def _decompress(numbers: Polynomial, bits: int) -> Polynomial:
    return [(2 * x * Q + (1 << bits)) >> (bits + 1) for x in numbers]


def _add(left: Polynomial, right: Polynomial) -> Polynomial:
    return [(a + b) % Q for a, b in zip(left, right, strict=True)]


def _subtract(left: Polynomial, right: Polynomial) -> Polynomial:
    return [(a - b) % Q for a, b in zip(left, right, strict=True)]


def _ntt(polynomial: Polynomial) -> Polynomial:
    f, i, size = list(polynomial), 1, 128
    while size >= 2:
        for start in range(0, N, 2 * size):
            for j in range(start, start + size):
                t = ZETAS[i] * f[j + size] % Q
                f[j + size], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        size //= 2
    return f


def _inverse_ntt(polynomial: Polynomial) -> Polynomial:
    f, i, size = list(polynomial), 127, 2
    while size <= 128:
        for start in range(0, N, 2 * size):
            for j in range(start, start + size):
                t = f[j]
                f[j], f[j + size] = (t + f[j + size]) % Q, ZETAS[i] * (f[j + size] - t) % Q
            i -= 1
        size *= 2
    return [x * 3303 % Q for x in f]


def _multiply(f: Polynomial, g: Polynomial) -> Polynomial:
    product: Polynomial = []
    for i, gamma in enumerate(GAMMAS):
        a, b, c, d = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        product += [(a * c + b * d * gamma) % Q, (a * d + b * c) % Q]
    return product


def _dot(left: list[Polynomial], right: list[Polynomial]) -> Polynomial:
    total = [0] * N
    for f, g in zip(left, right, strict=True):
        total = _add(total, _multiply(f, g))
    return total


def _uniform(seed: bytes, column: int, row: int) -> Polynomial:
    """SampleNTT."""
    stream = shake_128(seed + bytes((column, row))).digest(3 * 1024)
    pairs = [_unpack(stream[i : i + 3], 12) for i in range(0, len(stream), 3)]
    return [x for pair in pairs for x in pair if x < Q][:N]


def _noise(seed: bytes, nonce: int, eta: int) -> Polynomial:
    """SamplePolyCBD of the output of PRF."""
    bits = _unpack(shake_256(seed + bytes((nonce,))).digest(64 * eta), 1)
    halves = [sum(bits[i : i + eta]) for i in range(0, len(bits), eta)]
    return [(halves[2 * i] - halves[2 * i + 1]) % Q for i in range(N)]


def _matrix(rho: bytes) -> list[list[Polynomial]]:
    return [[_uniform(rho, j, i) for j in range(K)] for i in range(K)]


def _key_from(d: bytes) -> tuple[bytes, list[Polynomial]]:
    """K-PKE.KeyGen: the encapsulation key, and the secret vector."""
    expanded = sha3_512(d + bytes((K,))).digest()
    rho, sigma = expanded[:32], expanded[32:]
    secret = [_ntt(_noise(sigma, i, ETA_SECRET)) for i in range(K)]
    noise = [_ntt(_noise(sigma, K + i, ETA_SECRET)) for i in range(K)]
    public = [_add(_dot(row, secret), e) for row, e in zip(_matrix(rho), noise, strict=True)]
    return b"".join(_pack(each, 12) for each in public) + rho, secret


def _encrypt(key: bytes, message: bytes, randomness: bytes) -> bytes:
    """K-PKE.Encrypt."""
    public = [_unpack(key[384 * i : 384 * (i + 1)], 12) for i in range(K)]
    matrix = _matrix(key[384 * K :])
    y = [_ntt(_noise(randomness, i, ETA_SECRET)) for i in range(K)]
    u = [
        _add(
            _inverse_ntt(_dot([matrix[j][i] for j in range(K)], y)),
            _noise(randomness, K + i, ETA_NOISE),
        )
        for i in range(K)
    ]
    v = _add(_inverse_ntt(_dot(public, y)), _noise(randomness, 2 * K, ETA_NOISE))
    v = _add(v, _decompress(_unpack(message, 1), 1))
    packed = [_pack(_compress(each, BITS_U), BITS_U) for each in u]
    return b"".join(packed) + _pack(_compress(v, BITS_V), BITS_V)


def public_key_512(seed: bytes) -> bytes:
    """Return the encapsulation key that goes with a seed (d, then z)."""
    return _key_from(seed[:32])[0]


def decapsulate_512(seed: bytes, ciphertext: bytes) -> bytes:
    """Return the shared secret inside *ciphertext* for the key of a seed (d, then z)."""
    key, secret = _key_from(seed[:32])
    size = 32 * BITS_U
    u = [
        _ntt(_decompress(_unpack(ciphertext[size * i : size * (i + 1)], BITS_U), BITS_U))
        for i in range(K)
    ]
    v = _decompress(_unpack(ciphertext[size * K :], BITS_V), BITS_V)
    message = _pack(_compress(_subtract(v, _inverse_ntt(_dot(secret, u))), 1), 1)
    expanded = sha3_512(message + sha3_256(key).digest()).digest()
    if _encrypt(key, message, expanded[32:]) == ciphertext:
        return expanded[:32]
    return shake_256(seed[32:] + ciphertext).digest(32)
