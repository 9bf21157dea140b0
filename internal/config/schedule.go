package config

// Schedule is the course of the learning rate. Nil fields are not of its name. Lengths are numbers of updates, or under 1
// shares of all updates.
type Schedule struct {
	Name    string     `yaml:"name" one:"constant,step,linear,cosine,onecycle,piecewise" doc:"The course of the factor on the learning rate."`
	Warmup  *float64   `yaml:"warmup" min:"0" for:"constant,step,linear,cosine,onecycle,piecewise" def:"constant=0,step=0,linear=0,cosine=0,onecycle=0.3,piecewise=0" doc:"How long the factor rises in a line before the schedule proper begins: updates, or under 1 a share of all."`
	Start   *float64   `yaml:"start" min:"0" for:"linear,onecycle" def:"linear=1,onecycle=0" doc:"The first factor."`
	Final   *float64   `yaml:"final" min:"0" for:"linear,cosine,onecycle" def:"linear=0,cosine=0,onecycle=0" doc:"The last factor."`
	Every   *float64   `yaml:"every" above:"0" for:"step" def:"step=0.3333" doc:"After how long the factor is multiplied by gamma: updates, or under 1 a share of all."`
	Gamma   *float64   `yaml:"gamma" above:"0" for:"step" def:"step=0.1" doc:"By what."`
	Period  *float64   `yaml:"period" min:"0" for:"linear,cosine" def:"linear=0,cosine=0" doc:"How long the way from start to final takes, as every; 0: all updates after the warm-up."`
	Restart *bool      `yaml:"restart" for:"cosine" def:"cosine=false" doc:"After a period begin anew at 1; else the cosine goes on and rises again."`
	At      *[]float64 `yaml:"at" min:"0" for:"piecewise" doc:"Points in updates, or, if all are at most 1, in shares of all."`
	Values  *[]float64 `yaml:"values" min:"0" for:"piecewise" doc:"The factor at each point, on lines between them."`
	Hold    *bool      `yaml:"hold" for:"piecewise" def:"piecewise=false" doc:"No lines: keep a factor until the next point."`
}
