module ctx/bench/peers/go

go 1.19
