import Glibc
import KVMEngine
import Testing

@testable import Display

/// Viewers that send every kind of message in every order, while the picture changes under them.
@Suite(.serialized, .timeLimit(.minutes(2))) struct VNCFuzzTests {
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  private static let encodings: [Int32] = [
    0, 1, 2, 4, 5, 6, 7, 9, 15, 16, 17, -223, -224, -232, -239, -240, -256, -247, -32, -23, -26,
    -305, -308, -307, -309, -512, 0x574D_5664, -258, -261, -316, Int32(bitPattern: 0xC0A1_E5CE),
  ]

  @Test(arguments: UInt64(1)...12)
  func hostileViewersDoNoHarm(seed: UInt64) throws {
    var random = Generator(state: seed &* 0x9E37_79B9_7F4A_7C15)
    let running = try RunningServer(source: FakeSource(width: 160, height: 120))
    var clients = [try running.client(), try running.client()]
    for client in clients { try client.start() }
    for round in 0..<300 {
      let index = Int.random(in: 0..<clients.count, using: &random)
      clients[index].send(message(&random))
      drain(clients[index])
      if round % 7 == 0 { change(running.source, &random) }
      if round % 40 == 39 {
        clients[index] = try running.client()
        try clients[index].start()
      }
    }
    running.source.resize(width: 32, height: 32, color: 0x102030)
    let client = try running.client()
    try client.start()
    try client.waitFor(0x102030, x: 31, y: 31, firstIncremental: false)
  }

  private func change(_ source: FakeSource, _ random: inout Generator) {
    let width = Int.random(in: 1...300, using: &random)
    let height = Int.random(in: 1...200, using: &random)
    source.resize(
      width: width, height: height, color: UInt32.random(in: 0...0xFFFFFF, using: &random))
    let rect = FrameRect(x: width / 3, y: height / 3, width: width / 2, height: height / 2)
    source.paint(rect, UInt32.random(in: 0...0xFFFFFF, using: &random))
  }

  private func drain(_ client: RFBClient) {
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while recv(client.descriptor, &piece, piece.count, Int32(MSG_DONTWAIT)) > 0 {}
  }

  private func message(_ random: inout Generator) -> [UInt8] {
    func byte() -> UInt8 { UInt8.random(in: 0...255, using: &random) }
    func short(_ limit: Int) -> [UInt8] {
      RFBClient.bytes16(Int.random(in: 0...limit, using: &random))
    }
    switch Int.random(in: 0..<19, using: &random) {
    case 0:
      let bits = [8, 16, 32].randomElement(using: &random) ?? 8
      let colors: [UInt8] =
        bits == 8
        ? [0, 7, 0, 7, 0, 3, 0, 3, 6]
        : bits == 16 ? [0, 31, 0, 63, 0, 31, 11, 5, 0] : [0, 255, 0, 255, 0, 255, 0, 8, 16]
      let mapped: UInt8 = bits == 8 && byte() < 64 ? 0 : 1
      return [0, 0, 0, 0, UInt8(bits), UInt8(min(bits, 24)), byte() & 1, mapped] + colors + [
        0, 0, 0,
      ]
    case 1...3:
      let list = (0..<Int.random(in: 1...8, using: &random)).map { _ in
        VNCFuzzTests.encodings.randomElement(using: &random) ?? 0
      }
      return [2, 0] + RFBClient.bytes16(list.count)
        + list.flatMap { RFBClient.bytes32(UInt32(bitPattern: $0)) }
    case 4...9:
      return [3, byte() & 1] + short(320) + short(220) + short(400) + short(70_000 & 0xFFFF)
    case 10: return [4, byte() & 1, 0, 0, byte(), byte(), byte(), byte()]
    case 11: return [5, byte()] + short(0xFFFF) + short(0xFFFF)
    case 12: return [6, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5]
    case 17:
      return [6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xF4, byte() & 31, 0, 0, 1, 0x78, 0x9C]
        + (0..<6).map { _ in byte() }
    case 13:
      let screens = Int(byte() & 3)
      return [251, 0] + short(5000) + short(5000) + [UInt8(screens), 0]
        + (0..<screens * 16).map { _ in byte() }
    case 14: return [6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xF8, byte(), byte(), 0, 1, 1, 2, 3, 4]
    case 15: return [255, byte() < 250 ? 0 : byte()] + (0..<10).map { _ in byte() }
    case 16: return [5, byte() | 0x80] + short(0xFFFF) + short(0xFFFF) + [byte()]
    default: return byte() < 40 ? (0..<20).map { _ in byte() } : []
    }
  }
}
