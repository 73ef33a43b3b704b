// A market service as C++ programs write it: the synchronous gRPC server, a thread a call, each
// response serialised for each follower. When standard input says something, ticks come as fast as
// each follower takes them.
//
//     ticks_peer HOST:PORT TICKS PER_RESPONSE FILE_OF_A_TICK
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <future>
#include <iostream>
#include <string>
#include <thread>

#include "arbig/market/v1/market.grpc.pb.h"

namespace v1 = arbig::market::v1;

class Market final : public v1::MarketService::Service {
 public:
  Market(const v1::Tick& tick, int ticks, int per_response, std::shared_future<void> begin)
      : tick_(tick), ticks_(ticks), per_response_(per_response), begin_(begin) {}

  grpc::Status SubscribeTicks(grpc::ServerContext* context, const v1::SubscribeTicksRequest*,
                              grpc::ServerWriter<v1::SubscribeTicksResponse>* writer) override {
    v1::SubscribeTicksResponse response;
    // The end of an empty snapshot: from here on it is live.
    response.mutable_heartbeat();
    writer->Write(response);
    begin_.wait();
    for (uint64_t seq = tick_.seq(), end = seq + ticks_; seq < end;) {
      response.Clear();
      for (int n = 0; n < per_response_ && seq < end; ++n) {
        auto* tick = response.add_ticks();
        *tick = tick_;
        tick->set_seq(seq++);
      }
      response.mutable_cursor()->set_seq(seq - 1);
      if (!writer->Write(response)) break;
    }
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return grpc::Status::OK;
  }

 private:
  const v1::Tick tick_;
  const int ticks_, per_response_;
  const std::shared_future<void> begin_;
};

int main(int, char** arguments) {
  v1::Tick tick;
  std::ifstream file(arguments[4]);
  if (!tick.ParseFromIstream(&file)) return 1;
  std::promise<void> begin;
  Market market(tick, std::stoi(arguments[2]), std::stoi(arguments[3]), begin.get_future());
  grpc::ServerBuilder builder;
  builder.AddListeningPort(arguments[1], grpc::InsecureServerCredentials());
  builder.RegisterService(&market);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::cout << "ready" << std::endl;
  std::cin.get();
  begin.set_value();
  server->Wait();
}
