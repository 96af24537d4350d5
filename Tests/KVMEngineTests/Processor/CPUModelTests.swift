import Testing

@testable import KVMEngine

struct CPUModelTests {
  /// CPUID's registers of an engine that has everything.
  private func leaf(
    _ model: CPUModel, _ leaf: UInt32, _ subleaf: UInt32 = 0, ecx size: UInt32 = .max
  ) -> [UInt32] {
    var registers: [UInt32] = [.max, .max, size, .max]
    var (eax, ebx, ecx, edx) = (registers[0], registers[1], registers[2], registers[3])
    model.apply(leaf: leaf, subleaf: subleaf, &eax, &ebx, &ecx, &edx)
    registers = [eax, ebx, ecx, edx]
    return registers
  }

  @Test func hostIsWhatTheEngineHas() throws {
    #expect(try CPUModel("host") == CPUModel("host"))
    for number: UInt32 in [0, 1, 7, 0xD, 0x8000_0001] {
      #expect(leaf(.host, number) == [.max, .max, .max, .max])
      #expect(leaf(try CPUModel("host"), number)[0] == .max)
    }
  }

  @Test func everyFeatureHasABitOfItsOwnAndAName() {
    #expect(CPUFeature.all.count > 90)
    #expect(Set(CPUFeature.all.map(\.name)).count == CPUFeature.all.count)
    #expect(Set(CPUFeature.all.map { "\($0.place) \($0.bit)" }).count == CPUFeature.all.count)
    #expect(CPUFeature.all.allSatisfy { 0...31 ~= $0.bit })
    for (name, needs) in CPUFeature.needs {
      #expect(([name] + needs).allSatisfy { CPUFeature.named($0) != nil }, "\(name)")
    }
  }

  @Test func baselineHasTheFeaturesOfTheFirst64BitProcessorsAlone() throws {
    let model = try CPUModel("baseline")
    let one = leaf(model, 1)
    // SSE2 and FXSR are there; SSE3, AVX and XSAVE are not; the APIC is the board's.
    #expect(one[3] & (1 << 26 | 1 << 24 | 1 << 9) == 1 << 26 | 1 << 24 | 1 << 9)
    #expect(one[2] & (1 | 1 << 28 | 1 << 26) == 0)
    #expect(one[2] & 1 << 31 != 0)
    #expect(leaf(model, 7)[1] == 1 << 1)
    #expect(leaf(model, 7, 1) == [0, 0, 0, 0])
    #expect(leaf(model, 0xD) == [0, 0, 0, 0])
    #expect(leaf(model, 0x8000_0001)[3] & 1 << 29 != 0)
  }

  @Test func i686HasNoLongMode() throws {
    let model = try CPUModel("i686")
    #expect(leaf(model, 0x8000_0001)[3] & (1 << 29 | 1 << 20 | 1 << 11) == 0)
    #expect(leaf(model, 1)[3] & (1 << 25 | 1 << 26) == 1 << 25)
  }

  @Test func savedStatesFollowTheFeatures() throws {
    let third = leaf(try CPUModel("x86-64-v3"), 0xD, ecx: 2696)
    #expect(third[0] == 7 && third[2] == 832)
    #expect(leaf(try CPUModel("x86-64-v3"), 0xD, 2)[0] == .max)
    #expect(leaf(try CPUModel("x86-64-v3,-avx"), 0xD, 2)[0] == 0)
    let without = leaf(try CPUModel("host,-avx"), 0xD, ecx: 2696)
    #expect(without[0] & 0xE7 == 3 && without[2] == 576)
  }

  @Test func featuresComeAndGoWithWhatTheyNeed() throws {
    // AVX2, FMA and the like are nothing without AVX.
    let without = try CPUModel("x86-64-v3,-avx")
    #expect(leaf(without, 7)[1] & 1 << 5 == 0)
    #expect(leaf(without, 1)[2] & (1 << 12 | 1 << 28 | 1 << 29) == 0)
    #expect(leaf(without, 1)[2] & 1 << 26 != 0)
    let with = try CPUModel("baseline,+avx2")
    #expect(leaf(with, 1)[2] & (1 << 28 | 1 << 26 | 1 << 20) == 1 << 28 | 1 << 26 | 1 << 20)
    #expect(leaf(with, 7)[1] & 1 << 5 != 0)
  }

  @Test func mistakesAreSentences() {
    func problem(_ text: String) -> String? {
      do throws(CPUModel.Problem) { _ = try CPUModel(text) } catch { return error.description }
      return nil
    }
    #expect(problem("pentium")?.contains("x86-64-v3") == true)
    #expect(problem("host,+avxx2")?.contains("the nearest name is avx2") == true)
    #expect(problem("host,avx2")?.contains("begins with + or -") == true)
    #expect(problem("host,+avx2,-avx")?.contains("both asked for and taken away") == true)
    #expect(problem("") != nil && problem("host,") != nil && problem("host,+") != nil)
    #expect(problem("x86-64-v3,+aes,-rdrand") == nil)
  }

  @Test func anEngineThatLacksSomethingIsToldByName() throws {
    let model = try CPUModel("x86-64-v2,+aes")
    let aes = try #require(CPUFeature.named("aes"))
    #expect(model.missing { _ in .max } == [])
    #expect(model.missing { $0 == aes.place ? ~(1 << UInt32(aes.bit)) : .max } == ["aes"])
    #expect(throws: CPUModel.Problem.self) { try model.check("this engine") { _ in 0 } }
    #expect(CPUModel.host.missing { _ in 0 } == [])
  }
}
